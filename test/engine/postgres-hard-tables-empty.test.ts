import { afterAll, beforeAll, describe, test } from 'vitest';
import { expectEveryRule } from './hard-tables/every-rule.ts';
import { DROP, GONE, MADE, SOME, TRUNCATE } from './hard-tables/without-rows.ts';
import { type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

/** With no row in the restored copy: test/long. */
describe('hard tables of every kind: every rule, and its undo', () => {
  test('truncated in production', async () => {
    const sides = await server.make(MADE);
    await sides.live(TRUNCATE);
    await expectEveryRule(sides, SOME);
  });

  test('dropped in production', async () => {
    const sides = await server.make(MADE);
    await sides.live(DROP);
    await expectEveryRule(sides, GONE);
  });
});
