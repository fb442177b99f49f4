import { afterAll, beforeAll, expect, test } from 'vitest';
import { undo } from '../../src/engines/postgres/undo/undo.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import { quietly, type SidesServer, startSides } from './postgres-sides-fixture.ts';
import { contentOf, importBy, plannedUndo } from './postgres-undo-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

const SCHEMA = `CREATE TABLE parent (id int PRIMARY KEY, code int UNIQUE);
  CREATE TABLE child (id int PRIMARY KEY, code int REFERENCES parent (code)`;

// Two rows of the parent exchange a code to which a row refers that comes back in the same statement.
test.each([
  ['CASCADE', 'an update', `UPDATE parent SET code = 5 WHERE id = 1; INSERT INTO parent VALUES (2, 800)`],
  ['SET NULL', 'an update', `UPDATE parent SET code = 5 WHERE id = 1; INSERT INTO parent VALUES (2, 800)`],
  ['CASCADE', 'a delete', `DELETE FROM parent; INSERT INTO parent VALUES (2, 800)`],
  ['SET NULL', 'a delete', `DELETE FROM parent; INSERT INTO parent VALUES (2, 800)`],
  ['RESTRICT', 'a delete', `DELETE FROM parent; INSERT INTO parent VALUES (2, 800)`],
])('no row that comes back is lost to %s, where its parent is another by %s', async (action, _, change) => {
  const sides = await server.make(
    `${SCHEMA} ON DELETE ${action} ON UPDATE ${action}); INSERT INTO parent VALUES (1, 800)`,
  );
  await sides.live(`${change}; INSERT INTO child VALUES (3, 800)`);
  const { record, read } = await importBy(sides, ['public.parent', 'public.child'], 'replace');
  expect(await contentOf(sides, ['parent', 'child'])).toEqual([[{ row: '(1,800)' }], []]);

  const planned = await plannedUndo(sides, record, read);
  const changes = planned.comparisons.map((comparison) => ruleOf(comparison, 'keep-changed').change);
  const left = changes.map(({ table, orphans, uniqueClashes }) => [table, orphans, uniqueClashes]);
  expect(left).toEqual([
    ['public.child', 0, 0],
    ['public.parent', 1, 1],
  ]);
  await undo(planned, quietly);
  expect(await contentOf(sides, ['parent', 'child'])).toEqual([[{ row: '(1,800)' }], [{ row: '(3,800)' }]]);
});
