import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createZstdCompress } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogicalDump } from '../../src/engines/contract/backup.ts';
import { dump } from '../../src/engines/mysql/dump.ts';
import { fingerprint } from '../../src/engines/mysql/fingerprint.ts';
import { instructions } from '../../src/engines/mysql/instructions.ts';
import { dumpPrograms } from '../../src/engines/mysql/programs.ts';
import { ROW_HASH } from '../../src/engines/mysql/row-hash.ts';
import type { Manifest } from '../../src/model/backup.ts';
import { shippedFolder } from '../../src/repository/layout.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { writeLogRecord } from '../../src/repository/shipped/logs.ts';
import { openSink } from '../../src/repository/sink.ts';
import { dumpUser, hardSchema } from './mysql-hard-schema.ts';
import { type MysqlServer, quietly, SERIES_WITH_CLIENTS, startMysql } from './mysql-server.ts';
import { type RepositoryFixture, startRepository } from './repository/fixture.ts';
import { blocksOf } from './restore-document.ts';

const AWS = fileURLToPath(new URL('./mysql-aws.ts', import.meta.url));
const LINEAGE = 'server.0';

let fixture: RepositoryFixture;
let repository: Repository;

beforeAll(async () => {
  fixture = await startRepository();
  repository = await fixture.open();
});

afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

describe.each(SERIES_WITH_CLIENTS)('RESTORE.md of a logical backup of %s', (series) => {
  const database = `shop-${series.replace('.', '-')}`;
  let folder: string;
  let server: MysqlServer;
  let dumped: LogicalDump;
  let document: string;
  let moment: string;
  let atMoment: unknown[];
  const ORDERED = 'SELECT COUNT(*) AS n, MAX(what) AS last FROM shop.seen';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-mysql-md-'));
    server = await startMysql({ series });
    await server.run(hardSchema(server.series));
    const access = await dumpUser(
      server,
      'dumper',
      'SELECT, RELOAD, PROCESS, SHOW VIEW, TRIGGER, EVENT, REPLICATION CLIENT, SHOW DATABASES',
    );
    const sink = openSink(repository, `logical/${database}/b1/a1/`, { ...quietly, lockedUntil: null });
    dumped = await dump({ access, sink, fingerprints: true }, quietly);
    // Logs that go on from it, closed in the middle.
    await server.run(["INSERT INTO shop.seen (what) VALUES ('one'), ('two')", 'FLUSH BINARY LOGS']);
    await server.run([
      'CREATE TABLE shop.made (id INT PRIMARY KEY, b BLOB, f DOUBLE)',
      'INSERT INTO shop.made VALUES (1, 0x000a0d27ff, 0.1), (2, NULL, NULL)',
      'UPDATE shop.orders SET net = 5 WHERE number = 2',
      'FLUSH BINARY LOGS',
    ]);
    await server.run(["INSERT INTO shop.seen (what) VALUES ('zz three')"]);
    atMoment = await server.query(ORDERED);
    // Events have whole seconds.
    await server.query('SELECT SLEEP(1.1)');
    const [{ at = '' } = {}] = await server.query<{ at?: string }>(
      'SELECT CAST(UTC_TIMESTAMP() AS CHAR) AS at',
    );
    moment = at;
    await server.run(['DELETE FROM shop.seen', 'DROP TABLE shop.made', 'FLUSH BINARY LOGS']);
    await shipLogs();
    document = instructions(manifestOf(), fixture.config, '');
  });

  afterAll(async () => {
    await server?.end();
    await rm(folder, { recursive: true, force: true });
  });

  async function shipLogs(): Promise<void> {
    const logs = await server.query<{ Log_name: string; File_size: string }>('SHOW BINARY LOGS');
    for (const { Log_name: name } of logs.slice(0, -1)) {
      const path = join(server.dataDirectory, name);
      const content = await readFile(path);
      const place = { database, lineage: LINEAGE, log: name };
      const into = openSink(repository, shippedFolder(database, LINEAGE, name), {
        ...quietly,
        lockedUntil: null,
      });
      const compressed = pipeline(createReadStream(path), createZstdCompress(), () => {});
      const times = { createdAt: '2026-01-31T14:05:00Z', lastAt: '2026-01-31T14:06:00Z' };
      await writeLogRecord(
        repository,
        {
          ...{
            formatVersion: 1,
            database,
            lineage: LINEAGE,
            name,
            lockedUntil: null,
            gtids: null,
            next: null,
            committedAt: times.lastAt,
          },
          ...{
            sizeBytes: content.length,
            sha256: createHash('sha256').update(content).digest('hex'),
            ...times,
          },
          ...{ serverVersion: dumped.facts.version, transactions: 1, notices: [], shippedAt: times.lastAt },
          objects: await into.put(`${place.log}.zst`, compressed, { expectedBytes: null }),
        },
        times,
      );
    }
  }

  function manifestOf(): Manifest {
    return {
      ...{ formatVersion: 1, id: 'b1', database, engine: 'mysql', tier: 'logical', kind: 'full' },
      ...{
        startedAt: '2026-01-31T01:00:00Z',
        finishedAt: '2026-01-31T01:01:00Z',
        sizeBytes: 1,
        dependsOn: [],
      },
      ...{ databaseBytes: dumped.facts.totalBytes, lockedUntil: null, serverVersion: dumped.facts.version },
      ...{
        systemIdentifier: null,
        tools: dumped.tools,
        encryption: { kmsKeyId: null, repositoryCipher: false },
      },
      ...{
        positions: dumped.positions,
        databases: dumped.databases,
        globals: dumped.globals,
        instructions: null,
      },
      ...{ notices: dumped.notices, madeBy: { workflowId: 'w', runId: 'r' } },
    };
  }

  /** Follows the document in a shell of its own. */
  async function follow(
    name: string,
    blocks: string[],
    target: MysqlServer,
    more: Record<string, string> = {},
  ): Promise<string> {
    const place = join(folder, name);
    await mkdir(place);
    await writeFile(join(place, 'restore.sh'), blocks.join('\n'));
    const { client, binlog } = await dumpPrograms(server.series);
    const to = await dumpUser(target, 'restorer', 'ALL', '');
    await target.run([`GRANT ALL ON *.* TO 'restorer'@'127.0.0.1' WITH GRANT OPTION`]);
    const folders = [
      dirname(client),
      ...(binlog === null ? [] : [dirname(binlog)]),
      dirname(process.execPath),
    ];
    return execFileSync('sh', ['-c', `aws() { node ${AWS} "$@"; }; . ./restore.sh`], {
      cwd: place,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...{ PATH: `${folders.join(':')}:${process.env.PATH}`, LC_ALL: 'C.UTF-8', TZ: 'Asia/Tokyo' },
        ...{ NODE_EXTRA_CA_CERTS: fixture.server.caFile, AWS_ACCESS_KEY_ID: fixture.server.accessKeyId },
        AWS_SECRET_ACCESS_KEY: fixture.server.secretAccessKey,
        ...{
          TO_HOST: '127.0.0.1',
          TO_PORT: String(target.port),
          TO_USER: to.user,
          TO_PASSWORD: to.password as string,
        },
        ...more,
      },
    });
  }

  it('restores by its own commands, with every fingerprint equal, and goes on to a moment', async () => {
    // A delete marker on top must not stop a restore.
    for (const { objects } of dumped.databases) await repository.remove((objects[0] as { key: string }).key);
    const target = await startMysql({ series, settings: { 'event-scheduler': 'OFF' } });
    try {
      const output = await follow('by-hand', blocksOf(document), target);
      const counts = [...output.matchAll(/\| +(\d+) \| +(\d+) \|$/gm)].map(([, expected, found]) => [
        expected,
        found,
      ]);
      expect(counts.length).toBe(
        dumped.databases.flatMap(({ fingerprints }) => fingerprints?.tables ?? []).length,
      );
      for (const [expected, found] of counts) expect(found).toBe(expected);
      for (const { name, fingerprints } of dumped.databases) {
        const found = await fingerprint(
          { ...target.access, database: name },
          { hash: ROW_HASH, tables: null },
          quietly,
        );
        expect(found.tables).toEqual(fingerprints?.tables);
        expect(found.schemaSha256).toBe(fingerprints?.schemaSha256);
      }
      expect(await target.query("SELECT COUNT(*) AS n FROM mysql.user WHERE User = 'reader'")).toEqual([
        { n: '1' },
      ]);
    } finally {
      await target.end();
    }

    const later = await startMysql({ series, settings: { 'event-scheduler': 'OFF' } });
    try {
      const blocks = [...blocksOf(document), ...blocksOf(document, 'sh-replay')];
      await follow('replayed', blocks, later, { REPLAY_TO: moment });
      expect(await later.query(ORDERED)).toEqual(atMoment);
      expect(await later.query('SELECT HEX(b) AS b FROM shop.made ORDER BY id')).toEqual([
        { b: '000A0D27FF' },
        { b: null },
      ]);
      expect(await later.query('SELECT net FROM shop.orders WHERE number = 2')).toEqual([
        { net: '5.0000000000' },
      ]);
    } finally {
      await later.end();
    }
  });

  it('does not end well where a log cannot be read', async () => {
    const target = await startMysql({ series });
    try {
      const broken = blocksOf(document, 'sh-replay').map((block) =>
        block.replace('( cd binlogs &&', '( cd binlogs && : > "$(ls | head -n 1)" &&'),
      );
      const blocks = [...blocksOf(document), ...broken];
      await expect(follow('broken', blocks, target, { REPLAY_TO: moment })).rejects.toThrow(
        /ERROR .*not every log could be read/,
      );
    } finally {
      await target.end();
    }
  });

  it('stops at once, and names it, where a variable is not set', async () => {
    const target = await startMysql({ series });
    try {
      const nothing = follow('nothing-set', blocksOf(document), target, { TO_HOST: '' });
      await expect(nothing).rejects.toThrow(/TO_HOST: address of the server/);
    } finally {
      await target.end();
    }
  });

  it('says where a backup, and where a snapshot, reaches no further', () => {
    const snapshot = { folder: 'snapshot/shop/s1/', storageClass: 'GLACIER' };
    const text = instructions(
      { ...manifestOf(), tier: 'snapshot', copyOf: { tier: 'logical', id: 'b1' } },
      fixture.config,
      '',
      snapshot,
    );
    expect(text).toContain('A snapshot reaches no further');
    expect(text).toContain('restore-object');
    expect(blocksOf(text, 'sh-replay')).toEqual([]);
    const positions = { timeline: null, start: null, stop: null, startLog: null, stopLog: null, gtid: null };
    expect(instructions({ ...manifestOf(), positions }, fixture.config, '')).toContain(
      'It reaches no further',
    );
  });
});
