import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fingerprint } from '../../src/engines/mysql/fingerprint.ts';
import { ROW_HASH, readColumns, rowHashSql } from '../../src/engines/mysql/row-hash.ts';
import { hardSchema, ODD } from './mysql-hard-schema.ts';
import { type MysqlServer, quietly, SERIES, startMysql } from './mysql-server.ts';

describe.each(SERIES)('fingerprints of %s', (series) => {
  let server: MysqlServer;

  beforeAll(async () => {
    server = await startMysql({ series });
    await server.run(hardSchema(server.series));
    await server.run(['CREATE DATABASE f']);
  });

  afterAll(() => server?.end());

  const of = (database: string, tables: string[] | null = null) =>
    fingerprint({ ...server.access, database }, { hash: ROW_HASH, tables }, quietly);

  async function hashes(table: string): Promise<string[]> {
    const session = await server.connect('f');
    try {
      const hash = rowHashSql(await readColumns(session, 'f', table), 't');
      const rows = await session.query<{ h: string }>(`SELECT ${hash} AS h FROM ${table} t ORDER BY n`);
      return rows.map(({ h }) => String(h));
    } finally {
      await session.close();
    }
  }

  it('counts every table of a db, by the names that people use', async () => {
    const { tables } = await of('shop');
    const names = tables.map(({ table }) => table);
    expect(names).toEqual([...names].sort());
    expect(names).toContain('shop."ta.b`le"');
    expect(names).not.toContain('shop."a view"');
    expect(names).not.toContain('shop.ticket');
    expect(tables.find(({ table }) => table === 'shop.orders')?.rows).toBe(3);
    expect(tables.every(({ checksum }) => /^\d+$/.test(checksum))).toBe(true);
    expect((await of('empty')).tables).toEqual([]);
    expect((await of(ODD)).tables).toMatchObject([{ table: '"odd.`db".dash-ed', rows: 2 }]);
  });

  it('counts named tables, also of other dbs, and refuses unknown ones and unknown hashes', async () => {
    const { tables } = await of('shop', ['orders', 'legacy.texts']);
    expect(tables.map(({ table }) => table)).toEqual(['legacy.texts', 'shop.orders']);
    await expect(of('shop', ['nothing'])).rejects.toMatchObject({ type: 'UnknownTable' });
    const other = fingerprint(server.access, { hash: 'md5+sum', tables: null }, quietly);
    await expect(other).rejects.toMatchObject({ type: 'NotSupported' });
  });

  it('tells apart what collations, padding and NULL make look alike', async () => {
    await server.run(
      [
        'CREATE TABLE a (n INT AS (1) VIRTUAL INVISIBLE, x VARCHAR(20), y VARCHAR(20) CHARACTER SET latin1, b VARBINARY(20), t TEXT)',
        `INSERT INTO a (x, y, b, t) VALUES ('a', NULL, NULL, NULL), ('A', NULL, NULL, NULL), ('a ', NULL, NULL, NULL), ('á', NULL, NULL, NULL),
          (NULL, 'a', NULL, NULL), (NULL, NULL, 'a', NULL), (NULL, NULL, NULL, 'a'), (NULL, NULL, NULL, NULL), ('', NULL, NULL, NULL),
          (NULL, '', NULL, NULL), ('N', NULL, NULL, NULL), ('1:a', NULL, NULL, NULL), ('a1:b', '', NULL, NULL), ('a', 'b', NULL, NULL),
          ('ab', '', NULL, NULL), (NULL, NULL, NULL, ''), (NULL, NULL, NULL, 'N')`,
      ],
      'f',
    );
    const found = await hashes('a');
    expect(new Set(found).size).toBe(found.length);
  });

  it('tells numbers, times and bits apart exactly', async () => {
    await server.run(
      [
        'CREATE TABLE b (n INT AUTO_INCREMENT PRIMARY KEY, d DOUBLE, big BIGINT UNSIGNED, f BIT(64), at TIMESTAMP(6) NULL, z DATETIME)',
        // The key is hashed too: it is left out here.
        'ALTER TABLE b MODIFY n INT, DROP PRIMARY KEY',
        `INSERT INTO b VALUES (1, 0.1e0 + 0.2e0, NULL, NULL, NULL, NULL), (1, 0.3e0, NULL, NULL, NULL, NULL), (1, 0, NULL, NULL, NULL, NULL),
          (1, NULL, 18446744073709551615, NULL, NULL, NULL), (1, NULL, 18446744073709551614, NULL, NULL, NULL),
          (1, NULL, NULL, 18446744073709551615, NULL, NULL), (1, NULL, NULL, 18446744073709551614, NULL, NULL),
          (1, NULL, NULL, NULL, '2024-10-27 00:30:00.000001', NULL), (1, NULL, NULL, NULL, '2024-10-27 00:30:00', NULL),
          (1, NULL, NULL, NULL, NULL, '0000-00-00'), (1, NULL, NULL, NULL, NULL, '2024-00-00')`,
      ],
      'f',
    );
    const found = await hashes('b');
    expect(new Set(found).size).toBe(found.length);
  });

  it('is the same whether columns may be NULL, whatever the session, and in whatever order rows come', async () => {
    await server.run(
      [
        'CREATE TABLE c1 (n INT NOT NULL, v VARCHAR(9) NOT NULL, at TIMESTAMP NOT NULL)',
        'CREATE TABLE c2 (n INT NULL, v VARCHAR(9) NULL, at TIMESTAMP NULL)',
        "INSERT INTO c1 VALUES (1, 'x', '2024-07-01 10:00:00'), (2, 'y', '2024-01-01 10:00:00')",
        'INSERT INTO c2 SELECT * FROM c1 ORDER BY n DESC',
      ],
      'f',
    );
    const { tables } = await of('f', ['c1', 'c2']);
    expect(tables[0]?.checksum).toBe(tables[1]?.checksum);
    const session = await server.connect('f');
    const hash = rowHashSql(await readColumns(session, 'f', 'c1'));
    await session.query("SET time_zone = '+05:00', sql_mode = 'ANSI_QUOTES', NAMES latin1").catch(() => {});
    await session.query("SET time_zone = '+05:00'");
    await session.query("SET sql_mode = 'ANSI_QUOTES'");
    const [row] = await session.query<{ sum: string }>(`SELECT CAST(SUM(${hash}) AS CHAR) AS sum FROM c1`);
    await session.close();
    expect(row?.sum).toBe(tables[0]?.checksum);
  });

  it('takes minus zero for zero, as a dump does', async () => {
    await server.run(['CREATE TABLE e (n INT, d DOUBLE)', 'INSERT INTO e VALUES (1, 0), (1, -0e0)'], 'f');
    expect(new Set(await hashes('e')).size).toBe(1);
  });

  it('sums without overflow', async () => {
    const session = await server.connect('f');
    await session.query('CREATE TABLE d (n INT)');
    await session.query('INSERT INTO d VALUES (1), (1), (1)');
    await session.close();
    const [one] = await hashes('d');
    const { tables } = await of('f', ['d']);
    expect(BigInt(tables[0]?.checksum as string)).toBe(3n * BigInt(one as string));
  });

  it('says what a db is made of, without counters', async () => {
    const first = await of('shop');
    expect(first.schema).toMatch(/^column \| customers\.secret \| 3 varbinary\(20\).*INVISIBLE/m);
    expect(first.schema).toMatch(/^constraint \| orders\.whose \| CONSTRAINT `whose` FOREIGN KEY/m);
    expect(first.schema).toMatch(/^procedure \| marked \| /m);
    expect(first.schema).toMatch(/^view \| "a view" \| nobody@nowhere INVOKER/m);
    expect(first.schema).toMatch(/^trigger \| second \| notes BEFORE INSERT/m);
    expect(first.schema).toMatch(/^event \| nightly \| /m);
    await server.run([
      'INSERT INTO shop.seen (what) VALUES (NULL)',
      'DELETE FROM shop.seen WHERE what IS NULL',
    ]);
    expect((await of('shop')).schemaSha256).toBe(first.schemaSha256);
    await server.run(['ALTER TABLE shop.seen ADD COLUMN more INT']);
    expect((await of('shop')).schemaSha256).not.toBe(first.schemaSha256);
    await server.run(['ALTER TABLE shop.seen DROP COLUMN more']);
    expect((await of('shop')).schema).toBe(first.schema);
  });
});
