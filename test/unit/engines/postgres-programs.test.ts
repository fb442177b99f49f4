import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { configurePrograms, dumpPrograms, postgresProgram } from '../../../src/engines/postgres/programs.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hf-programs-'));
  for (const name of ['postgres', 'pg_dump', 'pg_dumpall', 'pg_restore', 'psql']) {
    await writeFile(join(folder, name), '#!/bin/sh\necho "(PostgreSQL) 15.99"\n', { mode: 0o755 });
  }
});
afterAll(async () => {
  configurePrograms({});
  await rm(folder, { recursive: true, force: true });
});

test('the folder that the configuration names comes before all others, for restores and dumps', async () => {
  configurePrograms({ 15: folder });
  expect(await postgresProgram('postgres', 15)).toBe(join(folder, 'postgres'));
  expect(await dumpPrograms(15)).toMatchObject({ pgDump: join(folder, 'pg_dump'), version: '15.99' });
});
