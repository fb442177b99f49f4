import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExamineInput } from '../../src/engines/contract/examine.ts';
import { examine } from '../../src/engines/mysql/examine/examine.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { type MysqlServer, quietly, SERIES, startMysql } from './mysql-server.ts';

const READING = 'SELECT, SHOW VIEW, TRIGGER, EVENT, PROCESS, RELOAD, REPLICATION CLIENT';
const WRITING = 'INSERT, UPDATE, DELETE, CREATE, DROP, CREATE TEMPORARY TABLES';
const MAKING = 'ALTER, REFERENCES';
const ALL = `${READING}, ${WRITING}, ${MAKING}`;
const WATCHED = { maxAgeMs: 60_000, physical: false, logDirectory: '/var/lib/mysql' };

describe.each(SERIES)('a server of %s says of itself', (series) => {
  let server: MysqlServer;
  let holdfast: ServerAccess;
  beforeAll(async () => {
    server = await startMysql({
      series,
      settings: { 'sync-binlog': '1', 'innodb-flush-log-at-trx-commit': '1' },
    });
    await server.run([
      'CREATE DATABASE shop',
      'CREATE TABLE shop.orders (id int PRIMARY KEY) ENGINE = InnoDB',
    ]);
    holdfast = await server.makeUser('holdfast', ALL);
  });
  afterAll(() => server?.end());

  const look = async (access = holdfast, change: Partial<ExamineInput> = {}) => {
    const { version, at, lines } = await examine({ access, ...WATCHED, ...change }, quietly);
    const failed = lines.filter(({ ok }) => !ok);
    return {
      version,
      at,
      names: lines.map(({ what }) => what),
      failed: failed.map(({ what, detail, hint }) => `${what}: ${detail}\nHINT: ${hint}`),
      detailOf: (what: string) => lines.find((line) => line.what === what)?.detail,
    };
  };

  it('that everything is as it should be, with its version and its clock', async () => {
    const { version, at, failed, names, detailOf } = await look();
    expect(failed).toEqual([]);
    expect(version).toMatch(series === '8.0' ? /^8\.0\.\d+$/ : /^10\.11\.\d+$/);
    expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
    expect(names).toEqual([
      ...['server', 'rights', 'binary log', 'log format', 'logs are kept', 'logs survive a crash', 'GTIDs'],
      ...['tables', 'events'],
    ]);
    expect(detailOf('binary log')).toMatch(/\/binlog$/);
    expect(at).toMatch(/Z$/);
  });

  it('each right that is lacking, with what grants it', async () => {
    const poor = await server.makeUser('poor', 'SELECT, PROCESS');
    await server.run(["GRANT SHOW VIEW, TRIGGER ON `sho_`.* TO 'poor'@'127.0.0.1'"]);
    const { failed } = await look(poor);
    expect(failed).toEqual([
      "rights: 'poor'@'127.0.0.1' lacks EVENT, which dumping events needs\nHINT: GRANT EVENT ON *.* TO 'poor'@'127.0.0.1';",
      expect.stringMatching(/lacks RELOAD, which .* current log needs\nHINT: GRANT RELOAD ON \*\.\* TO /),
      expect.stringContaining('lacks REPLICATION CLIENT, which reading the position'),
      `rights: 'poor'@'127.0.0.1' lacks ${WRITING} on db shop, which bringing rows back (restore pitr, restore table) and taking that back (undo) needs\nHINT: GRANT ${WRITING} ON \`sho_\`.* TO 'poor'@'127.0.0.1'`,
      expect.stringMatching(
        /lacks ALTER.* on db shop, which bringing back tables that are gone, .*\nHINT: GRANT ALTER/,
      ),
    ]);
    // The hints are statements of the server: after them nothing is lacking.
    await server.run(failed.map((text) => text.replace(/^[\s\S]*HINT: /, '').replace(/;$/, '')));
    expect((await look(poor)).failed).toEqual([]);
  });

  it('in some dbs, and where it may not have its rows logged as rows', async () => {
    const some = await server.makeUser('some', READING);
    const more = ['stock', 'tills', 'a_b', 'ax', 'ay', 'az'];
    await server.run([
      ...more.map((db) => `CREATE DATABASE ${db}`),
      `GRANT ${WRITING}, ${MAKING} ON shop.* TO some@'127.0.0.1'`,
      `GRANT ${MAKING} ON \`%\`.* TO some@'127.0.0.1'`,
      `GRANT ${WRITING}, ${MAKING} ON \`a\\_b\`.* TO some@'127.0.0.1'`,
      'SET GLOBAL binlog_format = MIXED',
    ]);
    try {
      const { failed } = await look(some);
      const right = series === '8.0' ? 'SESSION_VARIABLES_ADMIN' : 'BINLOG ADMIN';
      expect(failed).toHaveLength(1);
      expect(failed[0]).toContain(
        `lacks ${WRITING} on db ax, db ay, db az, db stock, db tills and ${right} on everything, which bringing rows back`,
      );
      expect(failed[0]).toMatch(/; or SET GLOBAL binlog_format = ROW$/);
      await server.run((failed[0]?.split('HINT: ')[1]?.split('; ') ?? []).slice(0, -1));
      expect((await look(some)).failed).toEqual([]);
    } finally {
      await server.run(['SET GLOBAL binlog_format = ROW', ...more.map((db) => `DROP DATABASE ${db}`)]);
    }
  });

  it('what reading logs through it needs beside', async () => {
    const through = await look(holdfast, { logDirectory: null });
    expect(through.failed).toEqual([
      expect.stringContaining('lacks REPLICATION SLAVE, which reading logs through'),
    ]);
    const unwatched = await look(holdfast, { logDirectory: null, maxAgeMs: null });
    expect(unwatched.failed).toEqual([]);
    expect(unwatched.names).not.toContain('binary log');
  });

  it('rights that it has by a role', async () => {
    await server.run([
      'CREATE ROLE backups',
      `GRANT ${ALL} ON *.* TO backups`,
      "CREATE USER member@'127.0.0.1' IDENTIFIED BY 'a-password-of-member'",
      "GRANT backups TO member@'127.0.0.1'",
      series === '8.0'
        ? "SET DEFAULT ROLE backups TO member@'127.0.0.1'"
        : "SET DEFAULT ROLE backups FOR member@'127.0.0.1'",
    ]);
    const member = { ...holdfast, user: 'member', password: 'a-password-of-member' };
    expect((await look(member)).failed).toEqual([]);
  });

  it('settings of its logs under which a recovery would go wrong', async () => {
    await server.run([
      'SET GLOBAL binlog_format = STATEMENT',
      'SET GLOBAL sync_binlog = 0',
      'SET GLOBAL binlog_expire_logs_seconds = 3600',
      'SET GLOBAL read_only = ON',
    ]);
    expect((await look()).failed).toEqual([
      expect.stringMatching(/^server: .* takes no writes: read_only is on\nHINT: name the primary/),
      expect.stringMatching(/^rights: .* lacks \w+[ _]\w+ on everything, which bringing rows back /),
      expect.stringMatching(/^log format: binlog_format = STATEMENT.*\nHINT: SET GLOBAL binlog_format = ROW/),
      expect.stringMatching(/^logs are kept: for 1h: .*\nHINT: SET \w+ binlog_expire_logs_seconds = 259200$/),
      expect.stringMatching(/^logs survive a crash: sync_binlog = 0, innodb_flush_log_at_trx_commit = 1/),
    ]);
    await server.run([
      ...[
        'SET GLOBAL read_only = OFF',
        'SET GLOBAL sync_binlog = 1',
        'SET GLOBAL binlog_expire_logs_seconds = 0',
      ],
      ...['SET GLOBAL binlog_format = MIXED', 'SET GLOBAL binlog_row_image = MINIMAL'],
    ]);
    const image = await look();
    expect(image.failed).toEqual([
      expect.stringMatching(/^rights: /),
      expect.stringMatching(/^log format: binlog_row_image = MINIMAL/),
    ]);
    expect(image.detailOf('logs are kept')).toMatch(/^until somebody removes them/);
    await server.run(['SET GLOBAL binlog_row_image = FULL']);
    const mixed = await look();
    expect(mixed.failed).toEqual([expect.stringMatching(/; or SET GLOBAL binlog_format = ROW$/)]);
    expect(mixed.detailOf('log format')).toMatch(/MIXED: .* cannot count/);
    await server.run(['SET GLOBAL binlog_format = ROW']);
  });

  it('tables that a snapshot does not hold still, and events', async () => {
    await server.run([
      'CREATE TABLE shop.`old ones` (id int) ENGINE = MyISAM',
      'CREATE VIEW shop.seen AS SELECT * FROM shop.orders',
      'CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.orders WHERE id < 0',
    ]);
    const { failed, detailOf } = await look();
    expect(failed).toEqual([
      expect.stringMatching(
        /^tables: shop\."old ones" \(MyISAM\): .*\nHINT: ALTER TABLE `shop`\.`old ones` ENGINE = InnoDB$/,
      ),
    ]);
    expect(detailOf('events')).toMatch(
      /^1 enabled, and event_scheduler is o(?:n|ff): restored servers run none$/,
    );
    await server.run(['DROP TABLE shop.`old ones`']);
  });

  it('that it writes no logs', async () => {
    // MySQL 8.0 has them unless it is told; GTIDs need them.
    const gtids = { 'gtid-mode': null, 'enforce-gtid-consistency': null, 'skip-log-bin': 'ON' };
    await server.restart({ 'log-bin': null, ...(series === '8.0' ? gtids : {}) });
    const { failed, names } = await look();
    expect(failed).toEqual([
      expect.stringMatching(/^binary log: log_bin is off.*\nHINT: set log_bin = binlog/),
    ]);
    expect(names).not.toContain('GTIDs');
  });
});
