import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planUndo } from '../../src/engines/mysql/undo/plan.ts';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import { HARD } from './mysql-hard-changes.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type SidesServer, startSides } from './mysql-sides-fixture.ts';
import { importBy, plannedUndo, undoneBy } from './mysql-undo-fixture.ts';

describe.each(SERIES)('undos of hard tables on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server?.end());

  const mine = HARD.filter(({ only }) => only === undefined || only === series);

  test.each(mine)('$what: as before, byte for byte, and back again', async (hard) => {
    const sides = await server.make(...hard.make);
    await sides.live(...hard.harm);
    const before = await sides.live(hard.content);
    const whole = await sides.copy(hard.content);
    const imported = await importBy(sides, [`${sides.db}.${hard.table}`], 'replace');
    const input = await plannedUndo(sides, imported);
    const [inserts, updates, deletes] = hard.replace;
    expect(input.comparisons[0]?.rules[0]).toMatchObject({
      refusal: null,
      change: { inserts: deletes, updates, deletes: inserts, orphans: 0, uniqueClashes: 0 },
    });
    expect(input.comparisons[0]?.notices).toEqual([]);
    await undo(input, quietly);
    expect(await sides.live(hard.content)).toEqual(before);
    await undo(await plannedUndo(sides, undoneBy(input)), quietly);
    expect(await sides.live(hard.content)).toEqual(whole);
  });

  test('columns that came since keep what they hold', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))',
      "INSERT INTO t VALUES (1,'a'),(2,'b')",
    );
    await sides.live(
      "UPDATE t SET v = 'x' WHERE id = 1",
      'DELETE FROM t WHERE id = 2',
      "INSERT INTO t VALUES (3,'c')",
    );
    const imported = await importBy(sides, ['t'], 'replace');
    await sides.live('ALTER TABLE t ADD own INT NOT NULL DEFAULT 7', 'UPDATE t SET own = 9 WHERE id = 1');
    await undo(await plannedUndo(sides, imported), quietly);
    expect(await sides.live('SELECT * FROM t ORDER BY id')).toEqual([
      { id: 1, v: 'x', own: 9 },
      { id: 3, v: 'c', own: 7 },
    ]);
  });

  test.each([
    ['MODIFY v VARCHAR(3)', /do not take the values any more/],
    ["MODIFY e ENUM('b', 'a')", /column e has another character set, or is another enumeration/],
    ['MODIFY v VARCHAR(9) CHARACTER SET latin1', /column v has another character set/],
    ['MODIFY v VARCHAR(90)', null],
    ['MODIFY id SMALLINT', null],
  ])('columns that were altered since (%s): nothing is cut or misread', async (change, refusal) => {
    const sides = await server.make(
      "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9), e ENUM('a', 'b'))",
      "INSERT INTO t VALUES (1, 'x', 'a'), (2, 'y', 'b')",
    );
    await sides.live("UPDATE t SET v = 'too long', e = 'b' WHERE id = 1");
    const imported = await importBy(sides, ['t'], 'restore-changed');
    await sides.live(`ALTER TABLE t ${change}`);
    if (refusal === null) {
      await undo(await plannedUndo(sides, imported), quietly);
      expect(await sides.live('SELECT * FROM t WHERE id = 1')).toEqual([{ id: 1, v: 'too long', e: 'b' }]);
    } else {
      await expect(plannedUndo(sides, imported)).rejects.toMatchObject({
        type: 'NotSupported',
        message: expect.stringMatching(refusal),
      });
    }
  });

  test('a large transaction: values beyond 64 KiB and many rows, in bounded statements', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)',
      `INSERT INTO t VALUES ${Array.from({ length: 1000 }, (_, n) => `(${n}, '')`).join(',')}`,
      'UPDATE t SET v = REPEAT(CHAR(97 + id % 26), IF(id % 100 = 0, 300000, 500))',
    );
    await sides.live(
      'DELETE FROM t WHERE id % 2 = 0',
      "UPDATE t SET v = REPEAT('z', 200000) WHERE id % 99 = 0",
    );
    const content = () =>
      sides.live('SELECT COUNT(*) AS n, SUM(CRC32(v)) AS sum, SUM(LENGTH(v)) AS bytes FROM t');
    const before = await content();
    const imported = await importBy(sides, ['t'], 'restore-changed');
    await undo(await plannedUndo(sides, imported), quietly);
    expect(await content()).toEqual(before);
  });

  test('plans by a user who may only what it needs, and says which right is missing', async () => {
    const sides = await server.make('CREATE TABLE t (id INT PRIMARY KEY)', 'INSERT INTO t VALUES (1),(2)');
    await sides.live('DELETE FROM t WHERE id = 1');
    const { record, read } = await importBy(sides, ['t'], 'insert-missing');
    const input = await plannedUndo(sides, { record, read });
    const without = await server.production.makeUser(`nobody_${sides.db}`, 'SELECT, TRIGGER', sides.db);
    await expect(planUndo({ ...input, production: without }, quietly)).rejects.toMatchObject({
      type: 'PermissionDenied',
    });
    const rights =
      'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, TRIGGER, CREATE TEMPORARY TABLES, PROCESS, REPLICATION CLIENT';
    const user = await server.production.makeUser(`undoes_${sides.db}`, rights, sides.db);
    const planned = await plannedUndo({ production: user }, { record, read });
    await undo(planned, quietly);
    expect(await sides.live('SELECT id FROM t')).toEqual([{ id: 2 }]);
  });
});
