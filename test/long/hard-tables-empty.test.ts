import { afterAll, beforeAll, describe, test } from 'vitest';
import { expectEveryRule } from '../engine/hard-tables/every-rule.ts';
import { DROP, GONE, MADE, SOME, TRUNCATE } from '../engine/hard-tables/without-rows.ts';
import { type SidesServer, startSides } from '../engine/postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

describe('hard tables of every kind without a row in the restored copy: every rule, and its undo', () => {
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

  test('dropped in production, and without a row in the restored copy', async () => {
    const sides = await server.make(MADE);
    await sides.live(DROP);
    await sides.copy(TRUNCATE);
    await expectEveryRule(sides, GONE);
  });
});
