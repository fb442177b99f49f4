import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Installation } from '../../../src/doctor/check.ts';
import { checkCredentials } from '../../../src/doctor/credentials.ts';
import { exampleConfig } from '../config/example.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credentials-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Secrets = Installation['loaded']['config']['secrets'];

/** What the doctor says of the passphrase of the repository, as a person reads it. */
async function said(reference: { file: string } | { env: string }, secrets: Partial<Secrets> = {}) {
  const config = exampleConfig();
  config.repository.cipher = reference;
  config.secrets = { places: ['env', 'file'], ...secrets };
  const loaded = { config, directory: folder, path: join(folder, 'holdfast.yaml') };
  const lines = await checkCredentials({ loaded } as Installation);
  const found = lines.find(({ check }) => check === 'secret repository.cipher');
  return found?.ok === true ? `OK ${found.detail}` : `FAILED ${found?.detail} HINT: ${found?.hint}`;
}

async function secretFile(mode = 0o600, path = 'cipher') {
  const file = join(folder, path);
  await writeFile(file, 'not-told\n');
  await chmod(file, mode);
  return { file: path };
}

test('a file for its owner alone is fine, and its age is told', async () => {
  expect(await said(await secretFile())).toMatch(/^OK in the file .*cipher, written 1s ago$/);
});

test.each([0o640, 0o604, 0o644])('one that others can read is not', async (mode) => {
  const file = join(folder, 'cipher');
  expect(await said(await secretFile(mode))).toBe(
    `FAILED ${file} can be read by others (mode ${mode.toString(8)}) HINT: chmod 600 ${file}`,
  );
});

test('one that is too old is not', async () => {
  const reference = await secretFile();
  await utimes(join(folder, 'cipher'), 1, 1);
  expect(await said(reference)).toMatch(/^OK /);
  expect(await said(reference, { rotateAfter: '90d' })).toMatch(
    /^FAILED .*cipher was written \d+d.* ago, and secrets\.rotateAfter is 90d HINT: renew the secret/,
  );
});

test('one that git would commit is not, one that it ignores is', async () => {
  await execa('git', ['init', '--quiet', folder]);
  await mkdir(join(folder, 'secrets'));
  const reference = await secretFile(0o600, 'secrets/cipher');
  expect(await said(reference)).toMatch(/^FAILED .* lies in the git tree .*: it is committed one day HINT: /);
  await writeFile(join(folder, '.gitignore'), 'secrets/\n');
  expect(await said(reference)).toMatch(/^OK /);
});

test('a variable is fine where variables are allowed', async () => {
  process.env.HOLDFAST_TEST_CIPHER = 'not-told';
  const reference = { env: 'HOLDFAST_TEST_CIPHER' };
  expect(await said(reference)).toBe('OK in the variable HOLDFAST_TEST_CIPHER: its age cannot be known');
  expect(await said(reference, { places: ['file'] })).toBe(
    'FAILED it is in env, and secrets.places allows file HINT: move it, and correct repository.cipher',
  );
});

test('what is not there is missed, but for what only admins need', async () => {
  expect(await said({ file: 'nowhere' })).toMatch(/^FAILED .*nowhere cannot be read \(ENOENT\) HINT: /);
  const config = exampleConfig();
  config.repository.adminCredentials = {
    accessKeyId: { file: 'no' },
    secretAccessKey: { env: 'NOT_SET_HERE' },
  };
  const loaded = { config, directory: folder, path: join(folder, 'holdfast.yaml') };
  const lines = await checkCredentials({ loaded } as Installation);
  const admin = lines.filter(({ check }) => check.startsWith('secret repository.adminCredentials.'));
  expect(admin.map(({ ok, detail }) => [ok, detail])).toEqual([
    [true, 'is not on this machine: only `holdfast repository` needs it'],
    [true, 'is not on this machine: only `holdfast repository` needs it'],
  ]);
});
