import { afterAll, beforeAll, describe, test } from 'vitest';
import { expectEveryRule } from './hard-tables/every-rule.ts';
import { KINDS } from './hard-tables/kinds.ts';
import { type SidesServer, startSides } from './postgres-sides-fixture.ts';

let server: SidesServer;
beforeAll(async () => {
  server = await startSides();
});
afterAll(() => server.end());

describe('rows deleted, changed and new: every rule, and its undo', () => {
  test.each(KINDS)('$name', async (kind) => {
    const sides = await server.make(kind.made);
    await sides.live(kind.changed);
    await expectEveryRule(sides, [kind]);
  });
});
