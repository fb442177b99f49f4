import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planUndo } from '../../src/engines/postgres/undo/plan.ts';
import { quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';
import { importByHand } from './postgres-undo-fixture.ts';
import { CHANGE, IMPORT, PEOPLE, planned } from './postgres-undo-people.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

describe('planning an undo', () => {
  test('of what nobody has touched since takes back every row', async () => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    const plan = await planned(by);
    expect(plan.keep().counts).toEqual([10, 10, 10, 0, 0]);
    expect(plan.over().counts).toEqual([10, 10, 10, 0, 0]);
    expect(plan.keep().refusal).toBeNull();
    expect(plan.comparisons[0]?.notices).toEqual([]);
    expect((await planned(by)).keep().keysSha256).toBe(plan.keep().keysSha256);
  });

  test('counts what others have changed since, lists the keys beside the undo data, and tells the rules apart', async () => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    const before = await planned(by);
    await sides.live(`UPDATE people SET note = 'theirs' WHERE id IN (1, 31); DELETE FROM people WHERE id IN (2, 32);
      INSERT INTO people VALUES (21, 'p21', 'theirs')`);
    const plan = await planned(by);
    expect(plan.keep().counts).toEqual([9, 8, 8, 0, 0]);
    expect(plan.over().counts).toEqual([10, 10, 9, 0, 0]);
    expect(plan.keep().keysSha256).not.toBe(before.keep().keysSha256);
    expect(plan.keep().notices).toEqual([
      'public.people: 4 rows that others have changed or deleted since stay as they are',
    ]);
    const [notice = ''] = plan.comparisons[0]?.notices ?? [];
    expect(notice).toMatch(/4 rows of the import since; their keys are in .*0\.changed/);
    expect(by.stored('0.changed')).toBe('id\n31\n1\n2\n21\n');
    await sides.live(`UPDATE people SET note = 'again' WHERE id = 1`);
    const again = await planned(by);
    expect(again.keep().keysSha256).toBe(plan.keep().keysSha256);
    expect(again.over().keysSha256).not.toBe(plan.over().keysSha256);
  });

  test('leaves alone what would break a reference or take other rows along, and what depends on that', async () => {
    const sides = await server.make(`CREATE TABLE p (id int PRIMARY KEY);
      CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);
      CREATE TABLE o (id int PRIMARY KEY, c int REFERENCES c ON DELETE SET NULL);
      INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, 1), (2, 2)`);
    const by = await importByHand(
      sides,
      {
        'public.p': {
          key: ['id'],
          columns: ['id'],
          inserted: 'SELECT id FROM p WHERE id > 2',
          replaced: `SELECT 'd', id FROM p WHERE id = 2`,
        },
        'public.c': {
          key: ['id'],
          columns: ['id', 'p'],
          inserted: 'SELECT id FROM c WHERE id > 2',
          replaced: `SELECT 'd', id, p FROM c WHERE id = 2`,
        },
      },
      `DELETE FROM c WHERE id = 2; DELETE FROM p WHERE id = 2; INSERT INTO p VALUES (3), (4); INSERT INTO c VALUES (3, 3), (4, 4)`,
    );
    const free = await planned(by);
    expect([free.keep(0).counts, free.keep(1).counts]).toEqual([
      [1, 0, 2, 0, 0],
      [1, 0, 2, 0, 0],
    ]);
    // c 3 is referred to, so p 3 is by c 3.
    await sides.live('INSERT INTO o VALUES (1, 3)');
    const plan = await planned(by);
    expect([plan.keep(0).counts, plan.keep(1).counts]).toEqual([
      [1, 0, 1, 1, 0],
      [1, 0, 1, 1, 0],
    ]);
    // Somebody has put p 2 back: c 2 can refer to that.
    await sides.live('INSERT INTO p VALUES (2)');
    const back = await planned(by);
    expect([back.keep(0).counts, back.keep(1).counts]).toEqual([
      [0, 0, 1, 1, 0],
      [1, 0, 1, 1, 0],
    ]);
  });

  test('leaves alone what others hold in a unique key by now', async () => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    await sides.live(`INSERT INTO people VALUES (100, 'p21'); UPDATE people SET email = 'p22' WHERE id = 11`);
    expect((await planned(by)).keep().counts).toEqual([8, 10, 10, 0, 2]);
  });

  test('of a table without a key takes back what the import inserted', async () => {
    const sides = await server.make(
      `CREATE TABLE lines (a int, b text); INSERT INTO lines SELECT n % 3, 'x' FROM generate_series(1, 9) n`,
    );
    const change = {
      'public.lines': {
        key: null,
        columns: ['a', 'b'],
        count: 5,
        replaced: `SELECT 'd', a, b FROM lines WHERE a = 1`,
      },
    };
    const by = await importByHand(
      sides,
      change,
      `DELETE FROM lines WHERE a = 1; INSERT INTO lines SELECT 7, 'y' FROM generate_series(1, 5)`,
    );
    expect((await planned(by)).over().counts).toEqual([3, 0, 5, 0, 0]);
    await sides.live(`UPDATE lines SET b = 'z' WHERE ctid = (SELECT min(ctid) FROM lines WHERE a = 7)`);
    const plan = await planned(by);
    expect(plan.keep().counts).toEqual([3, 0, 4, 0, 0]);
    expect(plan.over().refusal).toContain('cannot be told');
    expect(plan.comparisons[0]?.notices[0]).toContain('1 row that the import inserted');
  });

  test('drops a table that the import made only where nothing in it has changed and nothing depends on it', async () => {
    const sides = await server.make(PEOPLE);
    const change = {
      'public.people': { created: 'public.people_restored_1', key: ['id'], columns: ['id'], count: 30 },
    };
    const by = await importByHand(sides, change, 'CREATE TABLE people_restored_1 AS SELECT * FROM people');
    const plan = await planned(by);
    expect(plan.keep().counts).toEqual([0, 0, 30, 0, 0]);
    expect(plan.keep().notices[0]).toContain('that cannot be taken back');
    await sides.live(`ALTER TABLE people_restored_1 RENAME TO kept; DELETE FROM kept WHERE id = 1`);
    const changed = await planned(by);
    expect([changed.keep().counts, changed.over().counts]).toEqual([
      [0, 0, 0, 0, 0],
      [0, 0, 29, 0, 0],
    ]);
    await sides.live('CREATE VIEW looking AS SELECT id FROM kept');
    const used = await planned(by);
    expect(used.over().counts).toEqual([0, 0, 0, 0, 0]);
    expect(used.over().notices[0]).toContain('view public.looking depends on it');
    await sides.live('DROP TABLE kept CASCADE; CREATE TABLE people_restored_1 (id int)');
    expect((await planned(by)).comparisons[0]?.notices[0]).toContain('gone already');
  });

  test.each([
    ['it changed nothing', { undo: null }, 'InvalidInput', 'nothing to take back'],
    ['it has expired', { expiresAt: '2020-01-01T00:00:00Z' }, 'InvalidInput', 'expired'],
    ['it did not commit', { rollback: true }, 'CheckFailed', 'did not commit'],
    ['it changed another server', { systemIdentifier: '1' }, 'CheckFailed', 'another server'],
    [
      'the server was restored to a time before it',
      { lsn: 'FFFFFFFF/0' },
      'CheckFailed',
      'before the import',
    ],
    ['the server has never been on its timeline', { timeline: 7 }, 'CheckFailed', 'before the import'],
    ['its data is damaged', { sha256: 'other' }, 'ChecksumMismatch', 'not what was stored'],
  ])('is refused where %s', async (_, tamper, type, message) => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT, tamper);
    await expect(planUndo(by.input(), quietly)).rejects.toMatchObject({
      type,
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['the table is gone', 'DROP TABLE people', 'the table is gone'],
    ['a column is gone', 'ALTER TABLE people DROP note', 'its column note is gone'],
    ['the key is gone', 'ALTER TABLE people DROP CONSTRAINT people_pkey', 'the key by which'],
  ])('is refused where %s', async (_, change, message) => {
    const sides = await server.make(PEOPLE);
    const by = await importByHand(sides, CHANGE, IMPORT);
    await sides.live(change);
    await expect(planUndo(by.input(), quietly)).rejects.toMatchObject({
      type: 'NotSupported',
      message: expect.stringContaining(message),
    });
  });
});
