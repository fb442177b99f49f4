import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSecret } from '../../../src/config/secrets.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-secrets-'));
});
afterAll(() => rm(directory, { recursive: true }));

test('a file is relative to the configuration and loses one line break', async () => {
  await writeFile(join(directory, 'password'), ' s3cret \n\n');
  expect(await readSecret({ file: 'password' }, directory)).toBe(' s3cret \n');
  expect(await readSecret({ file: join(directory, 'password') }, '/')).toBe(' s3cret \n');
});

test('a variable is read when it is used', async () => {
  process.env.HOLDFAST_SECRET_TEST = 'value';
  expect(await readSecret({ env: 'HOLDFAST_SECRET_TEST' }, directory)).toBe('value');
  delete process.env.HOLDFAST_SECRET_TEST;
  await expect(readSecret({ env: 'HOLDFAST_SECRET_TEST' }, directory)).rejects.toMatchObject({
    type: 'InvalidConfiguration',
    message: expect.stringContaining('HOLDFAST_SECRET_TEST'),
  });
});

test('a missing or empty file is named', async () => {
  await writeFile(join(directory, 'empty'), '\n');
  await expect(readSecret({ file: 'empty' }, directory)).rejects.toThrow(/file empty is empty/);
  await expect(readSecret({ file: 'nowhere' }, directory)).rejects.toThrow(/nowhere.*ENOENT/);
});
