import fc from 'fast-check';
import type { Sides } from './mysql-sides-fixture.ts';

/** Tables that refer to each other and to themselves, with a unique key that may be null. */
export const WORLD = [
  `CREATE TABLE parents (id int PRIMARY KEY, code varchar(5) COLLATE utf8mb4_general_ci UNIQUE, boss int,
           FOREIGN KEY (boss) REFERENCES parents (id) ON DELETE CASCADE)`,
  `CREATE TABLE children (a varchar(9) COLLATE utf8mb4_bin, b int, parent int, v int, PRIMARY KEY (a, b),
           FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE SET NULL)`,
];

export interface World {
  parents: { id: number; code: string | null; boss: number | null }[];
  children: { a: string; b: number; parent: number | null; v: number }[];
}
const id = fc.integer({ min: 1, max: 12 });
export const world: fc.Arbitrary<World> = fc
  .record({
    parents: fc.uniqueArray(
      fc.record({ id, code: fc.option(fc.constantFrom('a', 'b', 'C', 'd', 'e', 'f')), boss: fc.option(id) }),
      { selector: (row) => row.id, maxLength: 12 },
    ),
    children: fc.uniqueArray(
      fc.record({
        a: fc.constantFrom('', 'a', 'ä', "it's", 'x\ty', 'x\\t', '\\N', 'Ω'),
        b: fc.integer({ min: -3, max: 5 }),
        parent: fc.option(id),
        v: fc.integer({ min: 0, max: 2 }),
      }),
      { selector: (row) => `${row.a}|${row.b}`, maxLength: 15 },
    ),
  })
  .map(({ parents, children }) => {
    const ids = new Set(parents.map((row) => row.id));
    const codes = new Set<string>();
    const kept = parents.map((row) => {
      const code = row.code !== null && !codes.has(row.code) ? row.code : null;
      if (code !== null) codes.add(code);
      return { ...row, code, boss: row.boss !== null && ids.has(row.boss) ? row.boss : null };
    });
    return { parents: kept, children: children.filter((row) => row.parent === null || ids.has(row.parent)) };
  });

export type Query = Sides['live'];
export type Rows = Record<'parents' | 'children', Map<string, string>>;

export const text = (value: string | number | null) =>
  value === null
    ? 'NULL'
    : typeof value === 'number'
      ? String(value)
      : `x'${Buffer.from(value).toString('hex')}'`;

export async function fill(query: Query, { parents, children }: World): Promise<void> {
  const values = (rows: (string | number | null)[][]) =>
    rows.map((row) => `(${row.map(text).join(',')})`).join(',');
  await query(
    'SET foreign_key_checks = 0',
    'DELETE FROM children',
    'DELETE FROM parents',
    ...(parents.length === 0
      ? []
      : [`INSERT INTO parents VALUES ${values(parents.map((row) => [row.id, row.code, row.boss]))}`]),
    ...(children.length === 0
      ? []
      : [`INSERT INTO children VALUES ${values(children.map((row) => [row.a, row.b, row.parent, row.v]))}`]),
  );
}

export async function rowsOf(query: Query): Promise<Rows> {
  const read = async (table: string, key: string) =>
    new Map(
      (await query(`SELECT * FROM ${table} ORDER BY ${key}`)).map((row) => [
        JSON.stringify(Object.values(row).slice(0, key.split(',').length)),
        JSON.stringify(row),
      ]),
    );
  return { parents: await read('parents', 'id'), children: await read('children', 'a, b') };
}

/** Rows that refer to none. */
export async function brokenIn(query: Query): Promise<number> {
  const broken = await query(
    `SELECT (SELECT COUNT(*) FROM children c LEFT JOIN parents p ON p.id = c.parent WHERE c.parent IS NOT NULL AND p.id IS NULL) +
               (SELECT COUNT(*) FROM parents c LEFT JOIN parents p ON p.id = c.boss WHERE c.boss IS NOT NULL AND p.id IS NULL) AS n`,
  );
  return Number(broken[0]?.n);
}
