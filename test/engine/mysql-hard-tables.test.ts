import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { verifyImport } from '../../src/engines/mysql/import/verify.ts';
import { CONFLICT_RULES, type ConflictRule } from '../../src/model/plan.ts';
import { HARD, type Hard } from './mysql-hard-changes.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';

describe.each(SERIES)('hard tables on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server.end());

  const tableOf = ({ db }: Sides, { table }: Hard) => `${db}.${table}`;
  const mine = HARD.filter(({ only }) => only === undefined || only === series);

  test.each(mine)('$what: replaced, byte for byte', async (hard) => {
    const sides = await server.make(...hard.make);
    const whole = await sides.copy(hard.content);
    await sides.live(...hard.harm);
    const plan = await sides.plan([tableOf(sides, hard)], { conflict: 'replace' });
    const [inserts, updates, deletes] = hard.replace;
    expect(plan.comparisons[0]?.rules[2]).toMatchObject({
      refusal: null,
      change: { inserts, updates, deletes },
    });
    const result = await importRows(plan, quietly);
    expect(result.tables).toMatchObject([
      { inserted: inserts, updated: updates, deleted: deletes, vanished: 0 },
    ]);
    expect(await sides.live(hard.content)).toEqual(whole);
    expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
    // Nothing is left that would differ.
    const again = await sides.plan([tableOf(sides, hard)], { conflict: 'replace' });
    expect(again.comparisons[0]?.rules[2]?.change).toMatchObject({ inserts: 0, updates: 0, deletes: 0 });
  });

  test.each(mine)('$what: made again where the table is gone, and beside', async (hard) => {
    const sides = await server.make(...hard.make);
    const name = hard.table.replaceAll('"', '').replaceAll('`', '``');
    const whole = await sides.copy(hard.content);
    const beside = await sides.plan([tableOf(sides, hard)], { conflict: 'side-by-side' });
    await importRows(beside, quietly);
    expect(
      await sides.live(hard.content.replace(/FROM (`.*`|\w+)/, `FROM \`${name}_restored_copy\``)),
    ).toEqual(whole);
    await sides.live('SET foreign_key_checks = 0', `DROP TABLE \`${name}\``);
    for (const conflict of CONFLICT_RULES.slice(0, 1) as ConflictRule[]) {
      const plan = await sides.plan([tableOf(sides, hard)], { conflict });
      await importRows(plan, quietly);
      expect(await sides.live(hard.content)).toEqual(whole);
      expect((await verifyImport(plan, quietly)).filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
    }
    const definition = `SHOW CREATE TABLE \`${name}\``;
    expect(await sides.live(definition)).toEqual(await sides.copy(definition));
  });

  test('a table that was altered since: columns that came, went and changed their types', async () => {
    const sides = await server.make(
      "CREATE TABLE t (id int PRIMARY KEY, v varchar(30) CHARACTER SET utf8mb4, gone int, n smallint, e enum('a','b'))",
      "INSERT INTO t VALUES (1, 'x', 1, 1, 'a'), (2, 'ä', 2, 2, 'b'), (3, 'y', 3, 3, NULL)",
      'CREATE VIEW seen AS SELECT id, v FROM t',
    );
    await sides.live(
      'ALTER TABLE t DROP COLUMN gone, MODIFY v varchar(30) CHARACTER SET latin1, MODIFY id bigint, MODIFY n varchar(9), ADD added int NOT NULL DEFAULT 7',
      "ALTER TABLE t MODIFY e enum('c','b','a')",
      'DELETE FROM t WHERE id = 2',
      "UPDATE t SET n = '9' WHERE id = 1",
    );
    const plan = await sides.plan(['t'], { conflict: 'restore-changed' });
    expect(plan.comparisons[0]?.rules[1]?.change).toMatchObject({ inserts: 1, updates: 1 });
    expect(plan.comparisons[0]?.notices).toEqual(
      expect.arrayContaining([
        expect.stringContaining('column gone has been dropped since'),
        expect.stringContaining('column added is new since'),
        expect.stringContaining('column id was int'),
      ]),
    );
    await importRows(plan, quietly);
    expect(await sides.live('SELECT id, HEX(v) AS v, n, e, added FROM t ORDER BY id')).toEqual([
      { id: '1', v: '78', n: '1', e: 'a', added: 7 },
      { id: '2', v: 'E4', n: '2', e: 'b', added: 7 },
      { id: '3', v: '79', n: '3', e: null, added: 7 },
    ]);
    expect(await sides.live('SELECT COUNT(*) AS n FROM seen')).toEqual([{ n: '3' }]);
  });

  test('rows almost as long as the server lets a statement be', async () => {
    const sides = await server.make(
      'CREATE TABLE big (id int PRIMARY KEY, b longblob, t longtext CHARACTER SET latin1, j json)',
      `INSERT INTO big VALUES (1, REPEAT(0x00ff, 400000), NULL, NULL), (2, 'short', REPEAT(0xe4, 900000), CONCAT('["', REPEAT('ü', 20000), '"]')), (3, '', '', '[]')`,
    );
    const before = await server.production.query<{ size: string }>(
      'SELECT @@GLOBAL.max_allowed_packet AS size',
    );
    for (const one of [server.production, server.instance])
      await one.query('SET GLOBAL max_allowed_packet = 1048576');
    try {
      await sides.live('DELETE FROM big');
      const plan = await sides.plan(['big']);
      await importRows(plan, quietly);
      const content =
        'SELECT id, LENGTH(b) AS n, MD5(b) AS b, MD5(t) AS t, MD5(CAST(j AS CHAR)) AS j FROM big ORDER BY id';
      expect(await sides.live(content)).toEqual(await sides.copy(content));
      expect((await sides.live(content)).map(({ n }) => Number(n))).toEqual([800_000, 5, 0]);
    } finally {
      for (const one of [server.production, server.instance]) {
        await one.query(`SET GLOBAL max_allowed_packet = ${before[0]?.size}`);
      }
    }
  });

  test('what does not fit any more, or would be one key by now, is refused before anybody waits', async () => {
    const sides = await server.make(
      'CREATE TABLE narrow (id int PRIMARY KEY, v varchar(30))',
      "INSERT INTO narrow VALUES (1, 'too long'), (2, 'b')",
      'CREATE TABLE bin (k varchar(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY)',
      "INSERT INTO bin VALUES ('a'), ('A')",
      'CREATE TABLE my (id int PRIMARY KEY) ENGINE=MyISAM',
      'CREATE TABLE added (id int PRIMARY KEY)',
    );
    await sides.live(
      'DELETE FROM narrow WHERE id = 1',
      'ALTER TABLE narrow MODIFY v varchar(3)',
      "DELETE FROM bin WHERE k = 'A'",
      'ALTER TABLE bin MODIFY k varchar(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci',
      'ALTER TABLE added ADD n int NOT NULL',
    );
    for (const [table, why] of [
      ['narrow', 'do not fit'],
      ['bin', 'do not fit'],
      ['my', 'no transactions'],
      ['added', 'without a default'],
    ]) {
      const { comparisons } = await sides.plan([table as string], { conflict: 'side-by-side' });
      expect(comparisons[0]?.rules.map(({ refusal }) => refusal?.includes(why as string) ?? null)).toEqual([
        true,
        true,
        true,
        null,
      ]);
    }
  });
});
