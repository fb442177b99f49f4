import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exportToPath } from '../../../src/activities/exporting.ts';

const ID = 'pitr/shop/1';
let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'holdfast-export-'));
});
afterEach(() => rm(path, { recursive: true }));

const folder = () => join(path, 'pitr%2Fshop%2F1');
const content = (text: string) => Readable.from([Buffer.from(text)], { objectMode: false });

test('a file has its name, size and sha256, and only the owner can read it', async () => {
  const file = await exportToPath(path, ID, (put) => put('public.orders.csv', content('id\n1\n')));
  expect(file).toEqual({
    place: join(folder(), 'public.orders.csv'),
    sizeBytes: 5,
    sha256: createHash('sha256').update('id\n1\n').digest('hex'),
  });
  expect(await readFile(file.place, 'utf8')).toBe('id\n1\n');
  expect((await stat(file.place)).mode & 0o777).toBe(0o600);
  expect((await stat(folder())).mode & 0o777).toBe(0o700);
});

test('nothing appears before the content has come whole, and nothing is left of one that broke off', async () => {
  async function* broken() {
    yield Buffer.from('id\n');
    expect((await readdir(folder())).filter((name) => !name.startsWith('.'))).toEqual([]);
    throw new Error('the server went away');
  }
  const put = exportToPath(path, ID, (put) => put('a.csv', Readable.from(broken(), { objectMode: false })));
  await expect(put).rejects.toThrow('the server went away');
  expect(await readdir(path)).toEqual([]);
});

test('when a later file fails, those that were whole do not stay either', async () => {
  const exporting = exportToPath(path, ID, async (put) => {
    await put('a.csv', content('1'));
    expect(await readdir(folder())).toEqual(['a.csv']);
    await put('b.csv', Readable.from(failing(), { objectMode: false }));
  });
  async function* failing() {
    yield Buffer.from('2');
    throw new Error('the server went away');
  }
  await expect(exporting).rejects.toThrow('the server went away');
  expect(await readdir(path)).toEqual([]);
});

test.each(['.', '..', '...'])('the workflow id "%s" does not lead out of the folder', async (id) => {
  const inner = join(path, 'exports');
  const { place } = await exportToPath(inner, id, (put) => put('a.csv', content('1')));
  expect(place).toBe(join(inner, '%2E'.repeat(id.length), 'a.csv'));
});

test('a second attempt writes the same files anew, and removes what the first left half written', async () => {
  await mkdir(folder());
  await writeFile(join(folder(), '.unfinished-x'), 'half');
  await writeFile(join(folder(), 'a.csv'), 'old');
  await exportToPath(path, ID, (put) => put('a.csv', content('new')));
  expect(await readdir(folder())).toEqual(['a.csv']);
  expect(await readFile(join(folder(), 'a.csv'), 'utf8')).toBe('new');
});

test('a path that cannot be written to is named, with what an operator can do', async () => {
  await writeFile(join(path, 'file'), '');
  await expect(exportToPath(join(path, 'file'), ID, async () => null)).rejects.toMatchObject({
    type: 'ToolFailed',
    message: expect.stringContaining('ENOTDIR'),
    hint: expect.stringMatching(/resume/),
  });
});
