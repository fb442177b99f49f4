import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type DifferenceKind,
  ruleBatches,
  ruleKinds,
} from '../../src/engines/postgres/compare/differences.ts';
import { importRows } from '../../src/engines/postgres/import/import.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import type { ConflictRule } from '../../src/model/plan.ts';
import {
  memoryJournal,
  quietly,
  type Sides,
  type SidesServer,
  startSides,
} from './postgres-sides-fixture.ts';

let server: SidesServer;
let sides: Sides;
beforeAll(async () => {
  server = await startSides();
  sides = await server.make(SCHEMA);
});
afterAll(() => server.end());

const SCHEMA = `
  CREATE TABLE parents (id int PRIMARY KEY, code numeric UNIQUE, boss int REFERENCES parents, favourite int);
  CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE,
    parent_code numeric REFERENCES parents (code) ON UPDATE CASCADE, tag int UNIQUE, near numeric REFERENCES parents (code));
  ALTER TABLE parents ADD CONSTRAINT parents_favourite FOREIGN KEY (favourite) REFERENCES children ON DELETE SET NULL;
  CREATE TABLE outside (id int PRIMARY KEY, child int REFERENCES children ON DELETE CASCADE, tag int REFERENCES children (tag),
    code numeric REFERENCES parents (code) ON DELETE SET NULL ON UPDATE RESTRICT)`;

const COLUMNS: Record<string, string[]> = {
  parents: ['id', 'code', 'boss', 'favourite'],
  children: ['id', 'parent', 'parent_code', 'tag', 'near'],
  outside: ['id', 'child', 'tag', 'code'],
};
const NAMES = Object.keys(COLUMNS);

const small = fc.integer({ min: 1, max: 4 });
/** Numbers that are equal may be written in two ways; an integer column takes both. */
const cell = fc.oneof(
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 3, arbitrary: small },
  { weight: 1, arbitrary: small.map((value) => `${value}.0`) },
);
const statement = fc
  .tuple(
    fc.constantFrom(...NAMES),
    fc.constantFrom('insert', 'insert', 'insert', 'update', 'delete', 'exchange'),
    small,
    fc.array(cell, { minLength: 4, maxLength: 4 }),
    fc.nat(3),
  )
  .map(([table, what, id, cells, column]) => {
    const columns = COLUMNS[table] as string[];
    const values = cells.slice(0, columns.length - 1).map((value) => value ?? 'NULL');
    if (what === 'insert') return `INSERT INTO ${table} VALUES (${[id, ...values].join(', ')})`;
    if (what === 'delete') return `DELETE FROM ${table} WHERE id = ${id}`;
    if (what === 'exchange') {
      const [of, unique] = table === 'parents' ? ['parents', 'code'] : ['children', 'tag'];
      const both = `IN (${id}, ${1 + column})`;
      return `UPDATE ${of} SET ${unique} = -${unique} WHERE id ${both};
        UPDATE ${of} AS t SET ${unique} = -o.${unique} FROM ${of} o WHERE t.id ${both} AND o.id ${both} AND o.id <> t.id`;
    }
    const name = columns[1 + (column % (columns.length - 1))];
    return `UPDATE ${table} SET ${name} = ${values[0]} WHERE id = ${id}`;
  });
const history = fc.array(statement, { minLength: 20, maxLength: 90 });

/** Those that the constraints refuse change nothing. */
const run = (statements: readonly string[]) =>
  sides.live(
    `DO $x$ ${statements.map((sql) => `BEGIN ${sql}; EXCEPTION WHEN integrity_constraint_violation THEN NULL; END;`).join('\n')} $x$`
      .replace('DO $x$', 'DO $x$ BEGIN')
      .replace(/ \$x\$$/, ' END $x$'),
  );

async function contents(read: Sides['live']): Promise<Record<string, Record<string, unknown>[]>> {
  const all: Record<string, Record<string, unknown>[]> = {};
  for (const table of NAMES) all[table] = await read(`SELECT * FROM ${table} ORDER BY id`);
  return all;
}

async function fill(write: Sides['live'], rows: Record<string, Record<string, unknown>[]>): Promise<void> {
  const inserts = NAMES.map(
    (table) =>
      `INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, '${JSON.stringify(rows[table])}')`,
  );
  await write(`SET session_replication_role = replica; TRUNCATE ${NAMES.join(', ')}; ${inserts.join('; ')}`);
}

/** Names of foreign keys that do not hold. */
async function broken(read: Sides['live']): Promise<string[]> {
  const keys = [
    ['parents', 'boss', 'parents', 'id'],
    ['parents', 'favourite', 'children', 'id'],
    ['children', 'parent', 'parents', 'id'],
    ['children', 'parent_code', 'parents', 'code'],
    ['children', 'near', 'parents', 'code'],
    ['outside', 'child', 'children', 'id'],
    ['outside', 'tag', 'children', 'tag'],
    ['outside', 'code', 'parents', 'code'],
  ];
  const found: string[] = [];
  for (const [child, column, parent, referred] of keys) {
    const rows = await read(`SELECT 1 FROM ${child} c WHERE c.${column} IS NOT NULL
      AND NOT EXISTS (SELECT FROM ${parent} p WHERE p.${referred} = c.${column})`);
    if (rows.length > 0) found.push(`${child}.${column}`);
  }
  return found;
}

function byId(rows: Record<string, Record<string, unknown>[]>): Record<string, Record<string, unknown>[]> {
  const sorted = Object.entries(rows).map(([table, all]) => [
    table,
    all.sort((one, other) => Number(one.id) - Number(other.id)),
  ]);
  return Object.fromEntries(sorted);
}

async function keysOf(folder: string, rule: ConflictRule, kind: DifferenceKind): Promise<number[]> {
  const keys: number[] = [];
  for await (const batch of ruleBatches(folder, rule, kind, 1, 100)) keys.push(...batch.lines.map(Number));
  return keys;
}

test('after any history, each rule does what its plan says, and leaves every reference and unique value right', async () => {
  await fc.assert(
    fc.asyncProperty(
      history,
      history,
      fc.constantFrom(['parents', 'children'], ['children'], ['parents']),
      async (before, since, names) => {
        await fill(sides.live, { parents: [], children: [], outside: [] });
        // Something to refer to, or most of what follows would be refused.
        await run(
          [1, 2, 3, 4].flatMap((id) => [
            `INSERT INTO parents VALUES (${id}, ${id})`,
            `INSERT INTO children VALUES (${id}, ${id}, NULL, ${id})`,
          ]),
        );
        await run(before);
        const then = await contents(sides.live);
        await fill(sides.copy, then);
        await run(since);
        const now = await contents(sides.live);
        const plan = await sides.plan(names.map((name) => `public.${name}`));
        const found = plan.comparisons;
        for (const rule of ['insert-missing', 'restore-changed', 'replace'] as const) {
          const after = structuredClone(now);
          for (const comparison of found) {
            const name = comparison.table.replace('public.', '');
            const { change } = ruleOf(comparison, rule);
            const keys = {
              missing: await keysOf(comparison.keysFolder, rule, 'missing'),
              changed: await keysOf(comparison.keysFolder, rule, 'changed'),
              extra: await keysOf(comparison.keysFolder, rule, 'extra'),
            };
            expect([change.inserts, change.updates, change.deletes]).toEqual([
              keys.missing.length,
              keys.changed.length,
              keys.extra.length,
            ]);
            const going = new Set([...keys.changed, ...keys.extra]);
            const coming = new Set([...keys.missing, ...keys.changed]);
            after[name] = [
              ...(now[name] ?? []).filter((row) => !going.has(row.id as number)),
              ...(then[name] ?? []).filter((row) => coming.has(row.id as number)),
            ];
            if (rule === 'insert-missing') expect(going.size).toBe(0);
            const all = new Set((then[name] ?? []).map((row) => row.id));
            const differ = (then[name] ?? []).filter((row) => {
              const live = (now[name] ?? []).find((other) => other.id === row.id);
              return live === undefined || JSON.stringify(live) !== JSON.stringify(row);
            });
            const extra = (now[name] ?? []).filter((row) => !all.has(row.id));
            const left = change.orphans + change.uniqueClashes;
            const kinds = ruleKinds(rule);
            const whole =
              differ.filter(
                (row) => kinds.includes('changed') || !(now[name] ?? []).some((o) => o.id === row.id),
              ).length + (kinds.includes('extra') ? extra.length : 0);
            expect(change.inserts + change.updates + change.deletes + left).toBe(whole);
          }
          await importRows({ ...plan, conflict: rule, journal: memoryJournal() }, quietly);
          expect(await contents(sides.live)).toEqual(byId(after));
          // The unique indexes are checked by the server, here too.
          await fill(sides.live, after);
          expect(await broken(sides.live)).toEqual([]);
          await fill(sides.live, now);
        }
      },
    ),
    { numRuns: 25, endOnFailure: true },
  );
}, 300_000);
