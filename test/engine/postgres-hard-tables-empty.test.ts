import { afterAll, beforeAll, describe, test } from 'vitest';
import { expectEveryRule } from './hard-tables/every-rule.ts';
import { KINDS } from './hard-tables/kinds.ts';
import { type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** Of the many tables that differ in a name or a type only, some are enough here. */
const SOME = KINDS.map((kind) => ({ ...kind, tables: kind.tables.slice(0, 4) }));
const TABLES = SOME.flatMap(({ tables }) => tables.map(({ name }) => name)).join(', ');
const MADE = KINDS.map(({ made }) => made).join(';\n');
const TRUNCATE = `TRUNCATE ${TABLES} RESTART IDENTITY`;
const DROP = `DROP TABLE ${TABLES} CASCADE`;
/** A table that is made again needs no key. */
const GONE = SOME.map(({ refused: _, said: __, ...kind }) => ({ ...kind, ...withOwned(kind.sequences) }));

/** Without a sequence that is no table's own: it is not gone, and stands where it stood. */
function withOwned(sequences: Record<string, string> = {}): { sequences: Record<string, string> } {
  return {
    sequences: Object.fromEntries(Object.entries(sequences).filter(([name]) => name.endsWith('_id_seq'))),
  };
}

describe('hard tables of every kind: every rule, and its undo', () => {
  test('truncated in production', async () => {
    const sides = await server.make(MADE);
    await sides.live(TRUNCATE);
    await expectEveryRule(sides, SOME);
  });

  test('without a row in the restored copy', async () => {
    const sides = await server.make(MADE);
    await sides.copy(TRUNCATE);
    await expectEveryRule(sides, SOME);
  });

  test('without a row on either side', async () => {
    const sides = await server.make(MADE);
    await sides.live(TRUNCATE);
    await sides.copy(TRUNCATE);
    await expectEveryRule(sides, SOME);
  });

  test('dropped in production', async () => {
    const sides = await server.make(MADE);
    await sides.live(DROP);
    await expectEveryRule(sides, GONE);
  });

  test('dropped in production, and without a row in the restored copy', async () => {
    const sides = await server.make(MADE);
    await sides.live(DROP);
    await sides.copy(TRUNCATE);
    await expectEveryRule(sides, GONE);
  });
});
