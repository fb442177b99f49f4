import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LogSurvey, ServerLog } from '../../src/engines/contract/ship.ts';
import { closeLog, shipping } from '../../src/engines/mysql/log.ts';
import { configurePrograms, dumpPrograms } from '../../src/engines/mysql/programs.ts';
import { parseHeadTime } from '../../src/engines/mysql/remote-log.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { type MysqlServer, quietly, SERIES_WITH_CLIENTS, type Settings, startMysql } from './mysql-server.ts';

const HOUR = 3_600_000;

/** What client programs are called. */
const COMMANDS = {
  '8.0': { dump: 'mysqldump', client: 'mysql', binlog: 'mysqlbinlog' },
  'mariadb-10.11': { dump: 'mariadb-dump', client: 'mariadb', binlog: 'mariadb-binlog' },
};

async function bytesOf(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Folders that this process makes; other tests run beside it. */
const OURS = new RegExp(`^holdfast-(log|client)-${process.pid}-`);

describe.each(SERIES_WITH_CLIENTS)('logs of %s', (series) => {
  let server: MysqlServer;
  let shipper: ServerAccess;
  beforeAll(async () => {
    server = await startMysql({ series });
    await server.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY, v LONGTEXT)']);
    const watching = series === '8.0' ? 'REPLICATION CLIENT' : 'BINLOG MONITOR';
    shipper = await server.makeUser(
      'shipper',
      `SELECT, RELOAD, REPLICATION SLAVE, ${watching}${series === '8.0' ? '' : ', REPLICATION MASTER ADMIN'}`,
    );
  });
  afterAll(() => server?.end());

  const here = () => ({ access: shipper, directory: server.dataDirectory });
  const remote = () => ({ access: shipper, directory: null });
  const surveyOf = (maxAgeMs: number | null, place: { directory: string | null } = here()) =>
    shipping.survey({ access: shipper, ...place, maxAgeMs }, quietly);
  /** The log that holds what these statements did, closed. */
  async function logOf(statements: readonly string[]): Promise<ServerLog> {
    await server.query('FLUSH BINARY LOGS');
    await server.run(statements);
    const { log } = await closeLog(shipper, quietly);
    const { closed } = await surveyOf(null);
    return closed.find(({ name }) => name === log) as ServerLog;
  }
  const factsOf = async (log: ServerLog, place: { directory: string | null } = here()) =>
    shipping.summarize(await shipping.read({ access: shipper, ...place, log }, quietly), quietly);

  test('the current log is closed when it is as old as half of what it may be, and not before', async () => {
    await server.query('FLUSH BINARY LOGS');
    const young = await surveyOf(HOUR);
    expect(young.switched).toBe(false);
    expect(await surveyOf(null)).toMatchObject({ switched: false, current: young.current });
    // Its age is told by whole seconds.
    await sleep(1_100);
    const old = await surveyOf(2_000);
    expect(old.switched).toBe(true);
    expect(old.closed.at(-1)).toMatchObject({ name: young.current.name });
    expect(old.systemIdentifier).toBe(young.systemIdentifier);
    expect(Math.abs(Date.parse(old.at) - Date.now())).toBeLessThan(60_000);
    // An empty one too: the end of the one before proves nothing that is later. And through the server alike.
    await sleep(1_100);
    expect((await surveyOf(2_000, { directory: null })).switched).toBe(true);
    expect((await surveyOf(HOUR, { directory: null })).switched).toBe(false);
  });

  test('a log is the same through the server and from its folder, byte for byte, and so is its beginning', async () => {
    const log = await logOf([
      "INSERT INTO shop.t VALUES (1, REPEAT('x', 300000))",
      'UPDATE shop.t SET v = NULL WHERE id = 1',
    ]);
    const [file, fetched] = [
      await bytesOf(await shipping.read({ ...here(), log }, quietly)),
      await bytesOf(await shipping.read({ ...remote(), log }, quietly)),
    ];
    expect(fetched.equals(file)).toBe(true);
    expect(file.equals(await readFile(join(server.dataDirectory, log.name)))).toBe(true);
    const facts = await factsOf(log);
    expect(facts).toMatchObject({ sizeBytes: log.sizeBytes, transactions: 2, notices: [] });
    expect(facts.next).toMatch(/^binlog\.\d{6}$/);
    const begun = [
      await shipping.begunAt({ ...here(), log }, quietly),
      await shipping.begunAt({ ...remote(), log }, quietly),
    ];
    expect(begun.map(Date.parse)).toEqual([Date.parse(facts.createdAt), Date.parse(facts.createdAt)]);
    const left = await readdir(tmpdir());
    expect(left.filter((name) => OURS.test(name))).toEqual([]);
  });

  test('neighbours agree in their GTIDs', async () => {
    const one = await factsOf(await logOf(['INSERT INTO shop.t VALUES (10, NULL)']));
    const two = await factsOf(await logOf(['INSERT INTO shop.t VALUES (11, NULL)']));
    expect(one.gtids?.after).not.toBe('');
    // Between the two the helper has closed an empty one.
    expect(two.gtids?.before).toBe(one.gtids?.after);
    expect(two.gtids?.after).not.toBe(two.gtids?.before);
  });

  test('no password stands in the arguments of what reads through the server', async () => {
    const log = await logOf(['INSERT INTO shop.t VALUES (20, NULL)']);
    const programs = await dumpPrograms(server.series);
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-mysql-log-'));
    const words = join(folder, 'words');
    try {
      for (const name of ['dump', 'client'] as const) {
        await symlink(programs[name], join(folder, COMMANDS[series][name]));
      }
      // Stands where the program is looked for, and notes what it is called with.
      const binlog = join(folder, COMMANDS[series].binlog);
      const script = `#!/bin/sh\nprintf '%s\\n' "$@" >> '${words}'\nexec '${programs.binlog}' "$@"\n`;
      await writeFile(binlog, script, { mode: 0o755 });
      configurePrograms({ [series]: folder });
      expect((await bytesOf(await shipping.read({ ...remote(), log }, quietly))).length).toBe(log.sizeBytes);
      const called = await readFile(words, 'utf8');
      expect(called).toContain('--read-from-remote-server');
      expect(called).not.toContain(shipper.password);
    } finally {
      configurePrograms({});
      await rm(folder, { recursive: true });
    }
  });

  test('what reads through the server asks for its certificate, and takes no other', async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'db' }], {
      keySize: 2048,
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] as never },
      ],
    });
    const other = await generate([{ name: 'commonName', value: 'other' }], { keySize: 2048 });
    const files = { cert: join(server.directory, 'db.pem'), key: join(server.directory, 'db.key') };
    await writeFile(files.cert, cert);
    await writeFile(files.key, key);
    await server.restart({ 'ssl-cert': files.cert, 'ssl-key': files.key, 'ssl-ca': files.cert });
    await server.query("ALTER USER 'shipper'@'127.0.0.1' REQUIRE SSL");
    try {
      const secure = { ...shipper, tls: { ca: cert, serverName: null } };
      const { closed } = await shipping.survey({ access: secure, directory: null, maxAgeMs: null }, quietly);
      const log = closed.at(-1) as ServerLog;
      const content = await bytesOf(await shipping.read({ access: secure, directory: null, log }, quietly));
      expect(content.equals(await readFile(join(server.dataDirectory, log.name)))).toBe(true);
      const wrong = {
        access: { ...secure, tls: { ca: other.cert, serverName: null } },
        directory: null,
        log,
      };
      await expect(shipping.read(wrong, quietly)).rejects.toMatchObject({ type: 'ConnectionFailed' });
    } finally {
      await server.query("ALTER USER 'shipper'@'127.0.0.1' REQUIRE NONE");
    }
  });

  test('a log that the server has removed is a gap, in its folder and through it', async () => {
    const log = await logOf(['INSERT INTO shop.t VALUES (30, NULL)']);
    await server.query('FLUSH BINARY LOGS');
    const { current } = await surveyOf(null);
    // MariaDB keeps a log until nothing in it is needed after a crash.
    await expect
      .poll(async () => {
        await server.query(`PURGE BINARY LOGS TO '${current.name}'`);
        return (await surveyOf(null)).closed;
      })
      .toEqual([]);
    for (const place of [here(), remote()]) {
      const gone = { type: 'LogGap', message: expect.stringContaining(`log ${log.name} is not`) };
      await expect(shipping.read({ ...place, log }, quietly)).rejects.toMatchObject(gone);
      await expect(shipping.begunAt({ ...place, log }, quietly)).rejects.toMatchObject(gone);
    }
  });

  test('who may not read logs through the server is told what to grant', async () => {
    const poor = await server.makeUser('poor', 'SELECT');
    const log = await logOf(['INSERT INTO shop.t VALUES (40, NULL)']);
    const refused = { type: 'PermissionDenied', hint: expect.stringContaining('REPLICATION SLAVE') };
    await expect(shipping.read({ access: poor, directory: null, log }, quietly)).rejects.toMatchObject(
      refused,
    );
  });

  test('a folder that is not the server’s own is refused: without the log, or with one of another server', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'hf-no-logs-'));
    const wrong = { type: 'InvalidConfiguration', hint: expect.stringContaining('mysql.logDirectory') };
    try {
      await expect(surveyOf(HOUR, { directory: empty })).rejects.toMatchObject(wrong);
      await expect(surveyOf(HOUR, { directory: join(empty, 'nothing') })).rejects.toMatchObject(wrong);
    } finally {
      await rm(empty, { recursive: true, force: true });
    }
    const log = await logOf(["INSERT INTO shop.t VALUES (50, 'of this one')"]);
    const other = await startMysql({ series });
    try {
      // Until it has as many logs, of the same names.
      for (let at = 0; at < 60; at += 1) await other.query('FLUSH BINARY LOGS');
      const place = { access: shipper, directory: other.dataDirectory };
      await expect(shipping.read({ ...place, log }, quietly)).rejects.toMatchObject({
        type: 'BackupUnusable',
        message: expect.stringMatching(/has \d+ bytes in .*, and its server says/),
      });
      // Idle logs agree in name and size: then it is the server's own number that tells.
      await sleep(1_100);
      await expect(surveyOf(2_000, { directory: other.dataDirectory })).rejects.toMatchObject({
        type: 'InvalidConfiguration',
        message: expect.stringContaining(`server_id ${other.port}, and this one's is ${server.port}`),
      });
    } finally {
      await other.end();
    }
  });

  test('after a kill -9 the log that was open is closed, ends with what was committed, and the next one goes on from it', async () => {
    const { current } = await surveyOf(null);
    await server.run(['INSERT INTO shop.t VALUES (60, NULL)', 'INSERT INTO shop.t VALUES (61, NULL)']);
    // A transaction that is not committed is in no log.
    const open = await server.connect();
    await open.query('START TRANSACTION');
    await open.query("INSERT INTO shop.t VALUES (62, REPEAT('z', 200000))");
    await server.kill();
    await open.close();
    await server.restart();
    const survey: LogSurvey = await surveyOf(null);
    const log = survey.closed.find(({ name }) => name === current.name) as ServerLog;
    const facts = await factsOf(log);
    expect(facts.next).toBeNull();
    expect(facts.transactions).toBeGreaterThanOrEqual(2);
    // MariaDB leaves the mark of a log that is in use, and takes it away for whoever reads it through the server.
    const { sha256: _, ...same } = facts;
    expect(await factsOf(log, remote())).toMatchObject(same);
    const next = await factsOf(await logOf(['INSERT INTO shop.t VALUES (63, NULL)']));
    expect(next.gtids?.before).toBe(facts.gtids?.after);
    expect(await server.query('SELECT id FROM shop.t WHERE id BETWEEN 60 AND 63 ORDER BY id')).toEqual(
      [60, 61, 63].map((id) => ({ id })),
    );
  });

  test('what a session has set as its time stands in the log that it closes, and a log of the future is closed', async () => {
    await server.query('FLUSH BINARY LOGS');
    const { current } = await surveyOf(null);
    const before = Date.now();
    await server.run([
      'INSERT INTO shop.t VALUES (70, NULL)',
      'SET TIMESTAMP = 2000000000',
      'FLUSH BINARY LOGS',
    ]);
    const survey = await surveyOf(HOUR);
    expect(survey.switched).toBe(true);
    const facts = await factsOf(survey.closed.find(({ name }) => name === current.name) as ServerLog);
    expect(facts.lastAt).toBe('2033-05-18T03:33:20Z');
    expect(Math.abs(Date.parse(facts.committedAt ?? '') - before)).toBeLessThan(60_000);
    expect((await factsOf(survey.closed.at(-1) as ServerLog)).createdAt).toBe('2033-05-18T03:33:20Z');
  });

  test('statements instead of rows are noticed', async () => {
    await server.query("SET GLOBAL binlog_format = 'STATEMENT'");
    const log = await logOf(["INSERT INTO shop.t VALUES (80, 'a')", 'DELETE FROM shop.t WHERE id = 80']);
    await server.query("SET GLOBAL binlog_format = 'ROW'");
    expect((await factsOf(log)).notices).toEqual([
      '2 of 2 transactions are statements, not rows (binlog_format)',
    ]);
  });

  test('a log that is cut off, or damaged, is unusable', async () => {
    const log = await logOf(["INSERT INTO shop.t VALUES (90, REPEAT('w', 1000))"]);
    const content = await readFile(join(server.dataDirectory, log.name));
    const summaryOf = (bytes: Buffer) =>
      shipping.summarize(
        (async function* () {
          yield bytes;
        })(),
        quietly,
      );
    await expect(summaryOf(content.subarray(0, content.length - 60))).rejects.toMatchObject({
      type: 'BackupUnusable',
    });
    const damaged = Buffer.from(content);
    damaged[content.length - 200] = (damaged[content.length - 200] as number) ^ 0xff;
    await expect(summaryOf(damaged)).rejects.toMatchObject({
      type: expect.stringMatching(/BackupUnusable|ChecksumMismatch/),
    });
  });

  test('an abort ends the reading, and leaves nothing', async () => {
    const log = await logOf(["INSERT INTO shop.t VALUES (100, REPEAT('v', 3000000))"]);
    const stop = new AbortController();
    const reading = shipping.read({ ...remote(), log }, { ...quietly, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    const left = await readdir(tmpdir());
    expect(left.filter((name) => OURS.test(name))).toEqual([]);
  });

  test('closing says where the log ends, and what is written from then on is in the next one', async () => {
    const one = await closeLog(shipper, quietly);
    await server.query('INSERT INTO shop.t VALUES (110, NULL)');
    const two = await closeLog(shipper, quietly);
    expect(two.log > one.log).toBe(true);
    const { closed } = await surveyOf(null);
    const log = closed.find(({ name }) => name === two.log) as ServerLog;
    expect(two.position).toBe(`${two.log}:${log.sizeBytes}`);
    expect((await factsOf(log)).transactions).toBe(1);
  });

  test('a server without GTIDs, and one without logs', async () => {
    const settings: Settings =
      series === '8.0'
        ? { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }
        : { 'gtid-strict-mode': 'OFF' };
    await server.restart(settings);
    const facts = await factsOf(await logOf(['INSERT INTO shop.t VALUES (120, NULL)']));
    expect(facts.transactions).toBe(1);
    // MariaDB has always some.
    if (series === '8.0') expect(facts.gtids?.before).toBe(facts.gtids?.after);
    await server.restart(series === '8.0' ? { 'log-bin': null, 'skip-log-bin': '' } : { 'log-bin': null });
    await expect(surveyOf(HOUR)).rejects.toMatchObject({
      ...{ type: 'NotSupported', message: 'the server writes no binary log (log_bin is off)' },
    });
    await expect(closeLog(shipper, quietly)).rejects.toMatchObject({ type: 'NotSupported' });
  });
});

test('the time of a log’s first event is read from what both flavours print', () => {
  const lines = (time: string) =>
    `DELIMITER /*!*/;\n# at 4\n#${time} server id 1  end_log_pos 126 CRC32 0x02f7097b \tStart: binlog v 4, server v 8.0.31 created ${time} at startup\n`;
  expect(parseHeadTime(lines('261125 23:44:56'))).toBe('2026-11-25T23:44:56.000Z');
  expect(parseHeadTime(lines('330518  3:33:20'))).toBe('2033-05-18T03:33:20.000Z');
  expect(parseHeadTime('# nothing')).toBeNull();
});
