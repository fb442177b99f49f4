import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertSql } from '../../src/engines/mysql/assert-sql.ts';
import { countRows } from '../../src/engines/mysql/count-rows.ts';
import { resolveTables } from '../../src/engines/mysql/resolve.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { dumpUser, hardSchema } from './mysql-hard-schema.ts';
import { type MysqlServer, quietly, SERIES, startMysql } from './mysql-server.ts';

describe.each(SERIES)('questions to a server of %s', (series) => {
  let server: MysqlServer;
  let access: ServerAccess;

  beforeAll(async () => {
    server = await startMysql({ series });
    await server.run(hardSchema(server.series));
    await server.run([
      'CREATE TABLE shop.zz_big (id INT AUTO_INCREMENT PRIMARY KEY, filler VARCHAR(400))',
      "INSERT INTO shop.zz_big (filler) VALUES (REPEAT('x', 300))",
    ]);
    for (let doubled = 1; doubled < 8_192; doubled *= 2) {
      await server.run(["INSERT INTO shop.zz_big (filler) SELECT REPEAT('x', 300) FROM shop.zz_big"]);
    }
    access = await dumpUser(server, 'dumper', 'SELECT, PROCESS, SHOW VIEW, SHOW DATABASES');
  });
  afterAll(() => server?.end());

  const resolve = (...tables: string[]) => resolveTables(access, tables, quietly);

  it('resolve names as they are written', async () => {
    expect(
      await resolve('orders', 'shop.orders', 'legacy.texts', '"odd.`db".dash-ed', 'shop."ta.b`le"'),
    ).toEqual([...['shop.orders', 'legacy.texts', '"odd.`db".dash-ed', 'shop."ta.b`le"']]);
    const known = [{ db: 'shop', table: 'shop.gone', node: '', oid: '', at: '' }];
    expect(await resolveTables(access, ['gone'], quietly, known)).toEqual(['shop.gone']);
  });

  it.each([
    ['shop.oders', /did you mean shop\.orders/],
    ['shop.Orders', /did you mean shop\.orders/],
    ['texts', /did you mean legacy\.texts\? A name without a db/],
    ['shop.a view', /name the tables/],
    ['shop.nothing_like_it_at_all', /no table with a similar name/],
  ])('refuse %s with a hint', async (name, hint) => {
    await expect(resolve(name)).rejects.toMatchObject({
      type: 'UnknownTable',
      hint: expect.stringMatching(hint),
    });
  });

  it('count rows, and those of a span of time', async () => {
    await server.run([
      // The server counts what a table holds some time after it was filled.
      'ANALYZE TABLE shop.zz_big',
      'DROP TABLE IF EXISTS shop.timed',
      'CREATE TABLE shop.timed (id INT, at TIMESTAMP NULL, local DATETIME)',
      "INSERT INTO shop.timed VALUES (1, '2024-01-01 10:00:00', '2024-01-01 10:00:00'), (2, '2024-01-01 11:00:00', NULL), (3, NULL, NULL)",
    ]);
    const span = { from: '2024-01-01T11:00:00+01:00', to: '2024-01-01T11:00:00Z' };
    const counted = await countRows(
      access,
      {
        tables: ['shop.timed', 'timed', 'shop.none'],
        recent: [
          { table: 'shop.timed', column: 'at', ...span },
          { table: 'shop.timed', column: 'local', ...span, from: '2024-01-01T09:00:00Z' },
          { table: 'shop.none', column: 'at', ...span },
        ],
        patienceMs: 60_000,
      },
      quietly,
    );
    expect(counted.tables).toEqual([
      { table: 'shop.timed', rows: 3, exact: true },
      { table: 'timed', rows: 3, exact: true },
      { table: 'shop.none', rows: null, exact: false },
    ]);
    expect(counted.recent.map(({ rows }) => rows)).toEqual([1, 1, null]);
    const wrong = {
      tables: [],
      recent: [{ table: 'shop.timed', column: 'id', ...span }],
      patienceMs: 1_000,
    };
    await expect(countRows(access, wrong, quietly)).rejects.toMatchObject({ type: 'InvalidConfiguration' });
    const largest = await countRows(access, { tables: null, recent: [], patienceMs: 60_000 }, quietly);
    expect(largest.tables[0]).toMatchObject({ table: 'shop.zz_big', exact: true });
    await server.run(['DROP TABLE shop.timed']);
  });

  it('are true, false, or neither', async () => {
    const ask = (sql: string, timeoutMs = 10_000) => assertSql(access, sql, { timeoutMs }, quietly);
    expect(await ask('SELECT COUNT(*) > 2 FROM orders')).toBe(true);
    expect(await ask('SELECT 1 = 2')).toBe(false);
    expect(await ask('SELECT 5')).toBeNull();
    expect(await ask('SELECT NULL')).toBeNull();
    expect(await ask('SELECT TRUE FROM orders')).toBeNull();
    await expect(ask('SELECT nothing FROM orders')).rejects.toMatchObject({ type: 'CheckFailed' });
    await expect(ask('SELEKT 1')).rejects.toMatchObject({ type: 'CheckFailed' });
    await expect(ask("INSERT INTO seen (what) VALUES ('x')")).rejects.toThrow();
    const slow = 'SELECT COUNT(*) > 0 FROM zz_big a, zz_big b, zz_big c';
    await expect(ask(slow, 200)).rejects.toMatchObject({
      type: 'CheckFailed',
      message: 'it was not answered in time',
    });
  });
});
