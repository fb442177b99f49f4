import { createReadStream } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareSchemas } from '../../src/engines/compare-schemas.ts';
import type { RestoreTablesInput } from '../../src/engines/contract/restore.ts';
import { check } from '../../src/engines/mysql/check.ts';
import { withConnection } from '../../src/engines/mysql/connection.ts';
import { restoreTables } from '../../src/engines/mysql/dumped/restore-tables.ts';
import { fingerprint } from '../../src/engines/mysql/fingerprint.ts';
import { serverPid } from '../../src/engines/mysql/instance-processes.ts';
import { canonicalSchema } from '../../src/engines/mysql/schema.ts';
import { ensureRunning } from '../../src/engines/mysql/server.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import {
  type Base,
  processesWith,
  quietly,
  type Recovery,
  startRecovery,
  value,
} from './mysql-recovery-fixture.ts';
import { SERIES } from './mysql-server.ts';

const TRAP =
  '\\n-- Dumping data for table `customers`\\nINSERT INTO `customers` VALUES (99);\\nDELIMITER ;;\\n';

describe.each(SERIES)('%s', (series) => {
  const isMysql = series === '8.0';
  let recovery: Recovery;
  let base: Base;
  let count = 0;

  beforeAll(async () => {
    recovery = await startRecovery(series, { 'event-scheduler': 'OFF' });
    const { sql } = recovery;
    await sql(
      "CREATE USER clerk@localhost IDENTIFIED BY 'the-password-of-clerk', gone@localhost",
      // Before the db that its views need, in the order of names.
      'CREATE DATABASE another CHARACTER SET latin1',
      'CREATE DATABASE shop',
      'CREATE TABLE another.stock (a int PRIMARY KEY, b varchar(20))',
      'USE shop',
      'CREATE TABLE customers (id int AUTO_INCREMENT PRIMARY KEY, email varchar(100) UNIQUE, mood enum("sad", "happy"))',
      `CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, customer int NOT NULL, total decimal(10,2) CHECK (total >= 0),
         doubled decimal(10,2) AS (total * 2) STORED, tripled int AS (total * 3), doc json, raw blob, bits bit(5),
         at timestamp NULL, point_at point, note text,
         KEY (customer), FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE)`,
      `CREATE TABLE events (at date NOT NULL, what varchar(1000)) PARTITION BY RANGE (YEAR(at))
         (PARTITION p2025 VALUES LESS THAN (2026), PARTITION p2026 VALUES LESS THAN MAXVALUE)`,
      'CREATE TABLE `odd ``table; DROP` (`a b` int PRIMARY KEY)',
      'CREATE TABLE `Größte.1` (a int)',
      "INSERT INTO customers (email, mood) VALUES ('a@example.org', 'happy'), ('b@example.org', 'sad'), (NULL, NULL)",
      `INSERT INTO orders (customer, total, doc, raw, bits, at, point_at, note) VALUES
         (1, 5, '{"ä": [1, null, "x"]}', 0x00ff0a275c22, b'10101', '2026-03-29 01:30:00', POINT(1, 2), 'it''s \\\\ "q" ${TRAP}'),
         (2, 7.25, NULL, '', NULL, NULL, NULL, REPEAT('🎉é', 5000))`,
      `INSERT INTO events VALUES ('2025-06-01', '${TRAP}'), ('2026-06-01', 'b')`,
      'INSERT INTO `odd ``table; DROP` VALUES (1), (2)',
      'INSERT INTO `Größte.1` VALUES (3)',
      'CREATE FUNCTION twice(a int) RETURNS int DETERMINISTIC RETURN a * 2',
      `CREATE PROCEDURE noisy() BEGIN
         -- Dumping data for table \`orders\`
         SELECT 'a;b', twice(1); SELECT "c;;";
       END`,
      "CREATE DEFINER = gone@localhost TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fired;'; END",
      'GRANT SELECT ON shop.orders TO clerk@localhost',
      'CREATE DEFINER = clerk@localhost VIEW totals AS SELECT customer, SUM(total) AS total FROM orders GROUP BY customer',
      'CREATE VIEW more AS SELECT * FROM totals JOIN another.stock ON a = customer',
      'CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.customers (email) VALUES (NULL)',
      'INSERT INTO another.stock VALUES (1, 0xe9)',
      'CREATE TABLE another.refers (c int, FOREIGN KEY (c) REFERENCES shop.customers (id))',
      'INSERT INTO another.refers VALUES (1), (2)',
      'CREATE VIEW another.across AS SELECT id, b FROM shop.customers LEFT JOIN another.stock ON a = id',
      "SET time_zone = '+02:00'",
      'GRANT EXECUTE ON PROCEDURE shop.noisy TO clerk@localhost',
      ...(isMysql ? [] : ['CREATE SEQUENCE shop.numbers START WITH 10', 'SELECT NEXTVAL(shop.numbers)']),
    );
    await sql('DROP USER gone@localhost');
    base = await recovery.base({ fingerprints: true });
  });
  afterAll(() => recovery?.end());

  async function inputFor(
    tables: string[] | null,
    change: Partial<RestoreTablesInput> = {},
  ): Promise<RestoreTablesInput> {
    count += 1;
    const [another, shop] = ['another', 'shop'].map((name) =>
      base.dumps.find(({ database }) => database === name),
    );
    if (another === undefined || shop === undefined) throw new Error('no dump');
    return {
      ...{ place: await recovery.provision(`copy-${count}`), serverMajor: recovery.production.series },
      ...{ backup: base.id, timeline: 1, position: 'of a test', user: 'root', globals: base.globals, tables },
      ...{ ...shop, ...(tables === null ? { others: [another] } : {}), ...change },
    };
  }
  const remove = () => recovery.remove(`copy-${count}`);
  const countRows = (access: ServerAccess, table: string) => value(access, `SELECT COUNT(*) FROM ${table}`);
  const prints = async (access: ServerAccess, database: string, tables: string[] | null) =>
    (await fingerprint({ ...access, database }, { hash: 'sha2-64+sum', tables }, quietly)).tables;
  const kept = (database: string) =>
    base.dumped.databases.find(({ name }) => name === database)?.fingerprints?.tables ?? [];

  test('only the rows of the wanted tables, as they were, with everything defined; once', async () => {
    const input = await inputFor(['orders', 'shop."Größte.1"', '"odd `table; DROP"']);
    const copy = await restoreTables(input, quietly);
    const named = ['shop.orders', 'shop."Größte.1"', 'shop."odd `table; DROP"'];
    expect(copy).toMatchObject({ named, tables: named, position: 'of a test' });
    const found = await prints(copy.access, 'shop', named);
    expect(found.length).toBe(3);
    expect(kept('shop')).toEqual(expect.arrayContaining(found));
    for (const table of ['shop.customers', 'shop.events'])
      expect(await countRows(copy.access, table)).toBe('0');
    const pid = await serverPid(input.place);
    expect(await restoreTables(input, quietly)).toEqual(copy);
    expect(await serverPid(input.place)).toBe(pid);
    process.kill(pid as number, 'SIGKILL');
    await expect.poll(() => serverPid(input.place)).toBe(null);
    await ensureRunning(input.place, quietly);
    expect(await prints(copy.access, 'shop', named)).toEqual(found);
    await remove();
    expect(await processesWith(input.place.directory)).toBe('');
  });

  test('every db as it was: rows and definitions, views of other dbs, and a definer who is gone', async () => {
    const input = await inputFor(null);
    const copy = await restoreTables(input, quietly);
    expect(copy.named).toBe(null);
    for (const database of ['shop', 'another']) {
      expect((await prints(copy.access, database, null)).toSorted(byTable)).toEqual(
        kept(database).toSorted(byTable),
      );
      const found = await withConnection(copy.access, quietly, (session) =>
        canonicalSchema(session, database),
      );
      const expected = await readFile(join(base.folder, `${database}.schema.txt`), 'utf8');
      expect(compareSchemas(expected, found.text, [])).toMatchObject({ verdict: 'pass' });
    }
    expect(await countRows(copy.access, 'another.across')).toBe('3');
    expect(await countRows(copy.access, 'shop.more')).toBe('1');
    expect(copy.notices).toEqual([]);
    if (!isMysql) expect(await value(copy.access, 'SELECT NEXTVAL(shop.numbers) >= 11')).toBe('1');
    expect(
      await check(
        { ...input, restored: copy.access, production: recovery.production.access, madeHere: true },
        quietly,
      ),
    ).toMatchObject([{ name: 'schema', verdict: 'pass' }]);
    expect(await value(copy.access, "SELECT COUNT(*) FROM mysql.tables_priv WHERE user = 'clerk'")).toBe('1');
    await remove();
  });
  const byTable = (a: { table: string }, b: { table: string }) => (a.table < b.table ? -1 : 1);

  test('a table that is not there is named with the nearest; one of another db is told', async () => {
    const input = await inputFor(['ordres']);
    await expect(restoreTables(input, quietly)).rejects.toMatchObject({
      type: 'UnknownTable',
      hint: 'did you mean shop.orders?',
    });
    await expect(restoreTables({ ...input, tables: ['another.stock'] }, quietly)).rejects.toMatchObject({
      type: 'UnknownTable',
    });
    // A view has no rows of its own.
    await expect(restoreTables({ ...input, tables: ['totals'] }, quietly)).rejects.toMatchObject({
      type: 'UnknownTable',
    });
    expect(await serverPid(input.place)).toBe(null);
    await remove();
  });

  test('a dump that is cut off is unusable, and leaves no server', async () => {
    const whole = await readFile(join(base.folder, 'shop.sql.zst'));
    const cut = join(base.folder, 'cut');
    await writeFile(cut, whole);
    await truncate(cut, whole.length - 100);
    const input = await inputFor(['orders'], { open: () => createReadStream(cut) });
    await expect(restoreTables(input, quietly)).rejects.toMatchObject({ type: 'BackupUnusable' });
    expect(await processesWith(input.place.directory)).toBe('');
    // The same place takes the whole one.
    const { open } = await inputFor(['orders']);
    await recovery.remove(`copy-${count}`);
    const copy = await restoreTables({ ...input, open }, quietly);
    expect(await countRows(copy.access, 'shop.orders')).toBe('2');
    await recovery.remove('copy-4');
  });
});
