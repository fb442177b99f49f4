import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportInput } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/mysql/compare/compare.ts';
import { describePair } from '../../src/engines/mysql/compare/pair.ts';
import { refuseUnentitled } from '../../src/engines/mysql/compare/rights.ts';
import { withConnection } from '../../src/engines/mysql/connection.ts';
import { flavourOf, parseSeriesName } from '../../src/engines/mysql/flavour.ts';
import { importRows } from '../../src/engines/mysql/import/import.ts';
import { undo } from '../../src/engines/mysql/undo/undo.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { CONFLICT_RULES, type ConflictRule } from '../../src/model/plan.ts';
import { NEWER, quietly, SERIES } from './mysql-server.ts';
import { memoryJournal, type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';
import { plannedUndo } from './mysql-undo-fixture.ts';
import { memoryStore } from './postgres-undo-fixture.ts';

const SHOP = [
  'CREATE TABLE customers (id INT PRIMARY KEY, email VARCHAR(50) UNIQUE, balance INT, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, shout VARCHAR(60) GENERATED ALWAYS AS (UPPER(email)) STORED)',
  'CREATE TABLE orders (id INT PRIMARY KEY, customer INT, note TEXT, before_id INT, CHECK (id > 0), FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE, FOREIGN KEY (before_id) REFERENCES orders (id))',
  'CREATE TABLE plain (n INT)',
  "INSERT INTO customers (id, email, balance) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)",
  "INSERT INTO orders VALUES (1, 1, 'one', NULL), (2, 2, 'two', 1), (3, 2, 'three', 2)",
  'INSERT INTO plain VALUES (1), (1), (2)',
];
/** A row is missing, two have exchanged a unique value, one is new. */
const CHANGES = [
  "UPDATE customers SET email = 'x' WHERE id = 2",
  "UPDATE customers SET email = 'b', balance = 0 WHERE id = 3",
  "UPDATE customers SET email = 'c' WHERE id = 2",
  'DELETE FROM orders WHERE id = 3',
  "INSERT INTO orders VALUES (4, 3, 'four', 2)",
  'DELETE FROM plain WHERE n = 1 LIMIT 1',
  'INSERT INTO plain VALUES (3)',
];
const READING = 'SELECT, SHOW VIEW, PROCESS';

describe.each([...SERIES, ...NEWER])('an import into %s by a user with few rights', (series) => {
  const isMysql = flavourOf(parseSeriesName(series) ?? 0) === 'mysql';
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server?.end());

  /** The user of a test's own db. */
  const userOf = (sides: Sides, rights = READING) =>
    server.production.makeUser(`u_${sides.db}`, rights, sides.db);
  const grant = (statements: readonly string[]) => server.production.run(statements);
  const granted = (sides: Sides, rights: string, on: string) =>
    grant([`GRANT ${rights} ON ${on} TO 'u_${sides.db}'@'127.0.0.1'`]);

  /** What lacks for a rule, as a plan would be told. */
  const refusalsOf = (sides: Sides, production: ServerAccess, tables: string[], rule: ConflictRule) =>
    withConnection(production, quietly, (session) =>
      withConnection(sides.restored, quietly, async (copy) => {
        const pairs = [];
        for (const table of tables) pairs.push(await describePair(session, copy, table, sides.db));
        await refuseUnentitled(session, pairs);
        return pairs.flatMap(({ refusals }) => refusals[rule] ?? []);
      }),
    );
  const statementsOf = (hint: string) => hint.split('; ').filter((text) => text.startsWith('GRANT '));

  const plannedBy = async (
    sides: Sides,
    production: ServerAccess,
    tables: string[],
    conflict: ConflictRule,
  ): Promise<ImportInput> => ({
    ...(await sides.plan(tables, { conflict, journal: memoryJournal() })),
    production,
    undo: memoryStore(),
  });

  /** Grants just what a plan asks for, and imports. */
  const importWith = async (sides: Sides, production: ServerAccess, tables: string[], rule: ConflictRule) => {
    const input = await plannedBy(sides, production, tables, rule);
    const refusals = await refusalsOf(sides, production, tables, rule);
    expect(refusals.map(({ type }) => type)).toContain('PermissionDenied');
    await expect(importRows(input, quietly)).rejects.toMatchObject({ type: 'PermissionDenied' });
    for (const { hint } of refusals) await grant(statementsOf(hint ?? ''));
    expect(await refusalsOf(sides, production, tables, rule)).toEqual([]);
    await importRows(input, quietly);
    return input;
  };

  const importedWith = async (...given: Parameters<typeof importWith>) => {
    const { journal, undo: store } = await importWith(...given);
    const [record] = await journal.read();
    if (record === undefined) throw new Error('nothing was imported');
    return { record, read: (store as ReturnType<typeof memoryStore>).read };
  };

  test.each(CONFLICT_RULES)('needs just what its plan asks for: %s', async (rule) => {
    const sides = await server.make(...SHOP);
    await sides.live(...CHANGES);
    const tables =
      rule === 'replace' || rule === 'side-by-side'
        ? ['customers', 'orders', 'plain']
        : ['customers', 'orders'];
    const access = await userOf(sides);
    await importWith(sides, access, tables, rule);
    const [{ n } = { n: 0 }] = await sides.live('SELECT COUNT(*) AS n FROM orders WHERE id = 3');
    expect(Number(n)).toBe(rule === 'side-by-side' ? 0 : 1);
  });

  test('needs just what its plan asks for: tables that are made again, with triggers and foreign keys', async () => {
    const sides = await server.make(
      ...SHOP,
      'CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = UPPER(NEW.note)',
    );
    await sides.live('SET foreign_key_checks = 0', 'DROP TABLE orders', 'DROP TABLE customers');
    const access = await userOf(sides);
    await importWith(sides, access, ['customers', 'orders'], 'insert-missing');
    const made = await sides.live('SHOW CREATE TABLE orders');
    expect(JSON.stringify(made)).toMatch(
      /REFERENCES `customers`.*REFERENCES `orders`|REFERENCES `orders`.*REFERENCES `customers`/,
    );
    expect(await sides.live("SHOW TRIGGERS LIKE 'orders'")).toHaveLength(1);
  });

  test('needs just what its plan asks for: one that is made again, with its parent in another db', async () => {
    const parent = await server.make(
      'CREATE TABLE people (id INT PRIMARY KEY)',
      'INSERT INTO people VALUES (1)',
    );
    const sides = await server.make(
      `CREATE TABLE jobs (id INT PRIMARY KEY, person INT, FOREIGN KEY (person) REFERENCES ${parent.db}.people (id))`,
      'INSERT INTO jobs VALUES (1, 1)',
    );
    await sides.live('DROP TABLE jobs');
    const access = await userOf(sides);
    await importWith(sides, access, ['jobs'], 'insert-missing');
    expect(await sides.live('SELECT id, person FROM jobs')).toEqual([{ id: 1, person: 1 }]);
  });

  test('needs just what its plan asks for: a trigger of its own, and one of others where the server trusts', async () => {
    const access = await server.production.makeUser(`owner`, READING);
    const triggerBy = (definer: string) =>
      `CREATE DEFINER = ${definer} TRIGGER noted BEFORE INSERT ON plain FOR EACH ROW SET NEW.n = NEW.n`;
    const own = await server.make(...SHOP, triggerBy("owner@'127.0.0.1'"));
    await own.live('DROP TABLE plain');
    const [refusal] = await refusalsOf(own, { ...access, database: own.db }, ['plain'], 'insert-missing');
    expect(refusal?.hint).toMatch(
      /ON \*\.\* TO 'owner'.*; or SET GLOBAL log_bin_trust_function_creators = 1$/,
    );
    await server.production.run(['SET GLOBAL log_bin_trust_function_creators = 1']);
    try {
      await importWith(own, { ...access, database: own.db }, ['plain'], 'insert-missing');
      const others = await server.make(...SHOP, triggerBy("nobody@'127.0.0.1'"));
      await others.live('DROP TABLE plain');
      const asked = await refusalsOf(others, { ...access, database: others.db }, ['plain'], 'insert-missing');
      expect(asked[0]?.hint).toMatch(
        /GRANT (?:SET_USER_ID|SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER|SET USER) ON \*\.\* TO 'owner'@'127\.0\.0\.1'$/,
      );
      await importWith(others, { ...access, database: others.db }, ['plain'], 'insert-missing');
    } finally {
      await server.production.run(['SET GLOBAL log_bin_trust_function_creators = 0']);
    }
  });

  test('is refused before anybody is asked, at once where no rule could work', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(...CHANGES);
    const access = await userOf(sides);
    const input = { ...sides.input(['orders']), production: access };
    await expect(compare(input, quietly)).rejects.toMatchObject({
      type: 'PermissionDenied',
      message: expect.stringMatching(
        /^the configured user lacks CREATE, INSERT, DROP, .* on db shop_\d+ and TRIGGER/,
      ),
      hint: expect.stringMatching(
        /^GRANT CREATE, INSERT, DROP, CREATE TEMPORARY TABLES ON `shop\\_\d+`\.\* TO 'u_shop_\d+'@'127\.0\.0\.1'; GRANT TRIGGER/,
      ),
    });
    await granted(sides, 'CREATE, INSERT, DROP, ALTER', `${sides.db}.*`);
    const [comparison] = await compare(input, quietly);
    const refused = comparison?.rules.map(({ refusal }) => refusal);
    const lacking = isMysql ? 'TRIGGER, UPDATE' : 'TRIGGER';
    expect(refused?.[0]).toContain(
      `lacks CREATE TEMPORARY TABLES on db ${sides.db} and ${lacking} on ${sides.db}.orders,`,
    );
    expect(refused?.[2]).toContain(`TRIGGER, UPDATE, DELETE ON \`${sides.db}\`.\`orders\` TO`);
    expect(refused?.[3]).toBeNull();
    await granted(sides, 'CREATE TEMPORARY TABLES, TRIGGER', `${sides.db}.*`);
    await granted(sides, 'UPDATE (id, customer, note, before_id)', `${sides.db}.orders`);
    const [now] = await compare(input, quietly);
    expect(now?.rules.map(({ refusal }) => refusal === null)).toEqual([true, true, false, true]);
  });

  test('is refused by the rules that could take parents from rows that it may not see', async () => {
    const sides = await server.make('CREATE TABLE t (id INT PRIMARY KEY)', 'INSERT INTO t VALUES (1)');
    const child = await server.make(`CREATE TABLE c (t INT, FOREIGN KEY (t) REFERENCES ${sides.db}.t (id))`);
    const access = await userOf(sides, 'USAGE');
    await granted(
      sides,
      'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, CREATE TEMPORARY TABLES, TRIGGER',
      `${sides.db}.*`,
    );
    expect(await refusalsOf(sides, access, ['t'], 'insert-missing')).toEqual([]);
    const [hidden] = await refusalsOf(sides, access, ['t'], 'restore-changed');
    expect(hidden?.hint).toMatch(
      /^GRANT PROCESS, SELECT, SHOW VIEW ON \*\.\* TO .*; or SELECT and SHOW VIEW on /,
    );
    await granted(sides, 'PROCESS', '*.*');
    await granted(sides, 'INSERT, UPDATE, SHOW VIEW', `${child.db}.*`);
    const [unread] = await refusalsOf(sides, access, ['t'], 'replace');
    // Other tests' foreign keys are hidden still.
    expect(statementsOf(unread?.hint ?? '')[0]).toBe(
      `GRANT SELECT ON \`${child.db}\`.\`c\` TO 'u_${sides.db}'@'127.0.0.1'`,
    );
    await grant(statementsOf(unread?.hint ?? ''));
    expect(await refusalsOf(sides, access, ['t'], 'replace')).toEqual([]);
  });

  test('may have them by a role, and by columns', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(...CHANGES);
    const access = await userOf(sides);
    const user = `'u_${sides.db}'@'127.0.0.1'`;
    await grant([
      `CREATE ROLE r_${sides.db}`,
      `GRANT CREATE, DROP, INSERT, CREATE TEMPORARY TABLES, TRIGGER ON ${sides.db}.* TO r_${sides.db}`,
      `GRANT UPDATE (note) ON ${sides.db}.orders TO r_${sides.db}`,
      `GRANT r_${sides.db} TO ${user}`,
      `SET DEFAULT ROLE r_${sides.db} ${isMysql ? 'TO' : 'FOR'} ${user}`,
    ]);
    await importRows(await plannedBy(sides, access, ['orders'], 'insert-missing'), quietly);
    expect(await refusalsOf(sides, access, ['orders'], 'restore-changed')).toMatchObject([
      { message: expect.stringContaining(`lacks UPDATE on ${sides.db}.orders,`) },
    ]);
  });

  test('keeps what a pattern of dbs gave, where the plan asks for more in one of them', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(...CHANGES);
    const access = await userOf(sides, 'USAGE');
    await granted(sides, 'SELECT, SHOW VIEW, INSERT, TRIGGER', '`shop%`.*');
    await granted(sides, 'PROCESS', '*.*');
    const [refusal] = await refusalsOf(sides, access, ['plain'], 'replace');
    expect(refusal?.message).toContain(
      `lacks CREATE, DROP, CREATE TEMPORARY TABLES on db ${sides.db} and DELETE on`,
    );
    await importWith(sides, access, ['plain'], 'replace');
  });

  test('is refused where statements are logged and its rows may not be logged instead', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(...CHANGES);
    const access = await userOf(
      sides,
      `${READING}, INSERT, UPDATE, DELETE, CREATE, DROP, TRIGGER, CREATE TEMPORARY TABLES`,
    );
    await server.production.run(['SET GLOBAL binlog_format = MIXED']);
    try {
      const [refusal] = await refusalsOf(sides, access, ['orders'], 'insert-missing');
      expect(refusal?.hint).toMatch(
        /^GRANT \w+[ _]\w+ ON \*\.\* TO .*; or SET GLOBAL binlog_format = ROW$|^GRANT \w+ ON \*\.\* TO .*; or SET/,
      );
      await importWith(sides, access, ['orders'], 'insert-missing');
    } finally {
      await server.production.run(['SET GLOBAL binlog_format = ROW']);
    }
  });

  test('is taken back by who has the rights to that', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(...CHANGES);
    const access = await userOf(sides, `${READING}, REPLICATION CLIENT`);
    const imported = await importedWith(sides, access, ['orders'], 'insert-missing');
    const denied = await plannedUndo({ production: access }, imported).catch((error: unknown) => error);
    expect(denied).toMatchObject({ type: 'PermissionDenied', message: expect.stringContaining('DELETE') });
    await grant(statementsOf((denied as { hint: string }).hint));
    await undo(await plannedUndo({ production: access }, imported), quietly);
    expect(await sides.live('SELECT id FROM orders ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }, { id: 4 }]);
  });

  test.each(['side-by-side', 'insert-missing'] as const)(
    'of a table that it made (%s) is taken back without any other right',
    async (rule) => {
      const sides = await server.make(...SHOP);
      if (rule === 'insert-missing') await sides.live('DROP TABLE plain');
      const access = await userOf(sides, `${READING}, REPLICATION CLIENT`);
      const imported = await importedWith(sides, access, ['plain'], rule);
      await undo(await plannedUndo({ production: access }, imported), quietly);
      const left = await sides.live("SHOW TABLES LIKE 'plain%'");
      expect(left).toHaveLength(rule === 'side-by-side' ? 1 : 0);
    },
  );
});

describe('an import into MySQL 8.0 whose rights were revoked in some dbs', () => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides('8.0', { 'partial-revokes': 'ON' });
  });
  afterAll(() => server?.end());

  test('is refused there, and works where they are given again', async () => {
    const sides = await server.make(...SHOP);
    await sides.live(...CHANGES);
    const access = await server.production.makeUser(
      'some',
      'SELECT, SHOW VIEW, PROCESS, TRIGGER, INSERT, UPDATE, DELETE, CREATE, DROP, CREATE TEMPORARY TABLES',
      sides.db,
    );
    await server.production.run([`REVOKE DELETE, CREATE ON ${sides.db}.* FROM some@'127.0.0.1'`]);
    const input = { ...(await sides.plan(['orders'], { conflict: 'replace' })), production: access };
    const hint = `GRANT CREATE ON \`${sides.db}\`.* TO 'some'@'127.0.0.1'; GRANT DELETE ON \`${sides.db}\`.\`orders\` TO 'some'@'127.0.0.1'`;
    await expect(importRows(input, quietly)).rejects.toMatchObject({ type: 'PermissionDenied', hint });
    await server.production.run(hint.split('; '));
    await importRows(input, quietly);
    expect(await sides.live('SELECT id FROM orders ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });
});
