import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableComparison } from '../../src/engines/contract/change.ts';
import { compare } from '../../src/engines/mysql/compare/compare.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';
import { CONFLICT_RULES } from '../../src/model/plan.ts';
import { quietly, SERIES } from './mysql-server.ts';
import { type Sides, type SidesServer, startSides } from './mysql-sides-fixture.ts';

/** Per rule `inserts/updates/deletes/orphans/clashes`, or its refusal. */
function effects(comparison: TableComparison | undefined): Record<string, string> {
  return Object.fromEntries(
    CONFLICT_RULES.map((rule) => {
      const { change, refusal } = ruleOf(comparison as TableComparison, rule);
      const { inserts, updates, deletes, orphans, uniqueClashes } = change;
      return [rule, refusal ?? [inserts, updates, deletes, orphans, uniqueClashes].join('/')];
    }),
  );
}

describe.each(SERIES)('compare on %s', (series) => {
  let server: SidesServer;
  beforeAll(async () => {
    server = await startSides(series);
  });
  afterAll(() => server.end());

  const run = (sides: Sides, ...tables: string[]) => compare(sides.input(tables), quietly);

  test('what is missing, changed and extra, exactly', async () => {
    const sides = await server.make(
      'CREATE TABLE t (id int PRIMARY KEY, v varchar(20))',
      "INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c'),(4,NULL),(5,'e')",
    );
    await sides.live(
      'DELETE FROM t WHERE id <= 2',
      "UPDATE t SET v = '' WHERE id = 4",
      "INSERT INTO t VALUES (9,'n')",
    );
    const [found] = await run(sides, 't');
    expect(effects(found)).toEqual({
      'insert-missing': '2/0/0/0/0',
      'restore-changed': '2/1/0/0/0',
      replace: '2/1/1/0/0',
      'side-by-side': '5/0/0/0/0',
    });
    expect(found?.table).toBe(`${sides.db}.t`);
    const [again] = await run(sides, 't');
    expect(again?.rules).toEqual(found?.rules);
    expect(
      await server.instance.query(
        "SELECT COUNT(*) AS n FROM information_schema.schemata WHERE schema_name LIKE 'holdfast%'",
      ),
    ).toMatchObject([{ n: expect.anything() }]);
    await sides.live('DELETE FROM t WHERE id = 3');
    const [other] = await run(sides, 't');
    expect(ruleOf(other as TableComparison, 'insert-missing').keysSha256).not.toBe(
      ruleOf(found as TableComparison, 'insert-missing').keysSha256,
    );
  });
});
