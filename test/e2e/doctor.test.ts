import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import type { Finding } from '../../src/doctor/check.ts';
import { PROBE_FOLDER } from '../../src/repository/layout.ts';
import { type Stack, startStack } from './stack.ts';

interface Answer {
  site: string;
  ok: boolean;
  checks: Finding[];
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ second: true });
  await stack.holdfast('backup', 'shop', '--tier', 'physical', '--wait');
});
afterAll(async () => {
  await stack?.end();
});

const doctor = (...args: string[]) => stack.holdfast('doctor', '--site', 'second', ...args);

it('finds everything of the second site in place, line by line, and leaves nothing', async () => {
  const { code, stdout } = await doctor();
  expect(stdout).not.toMatch(/FAILED|HINT/);
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  expect(lines.every((line) => line.startsWith('OK      '))).toBe(true);
  for (const part of [
    /configuration: \//,
    /takeover: shop can be taken over at second/,
    /secret repository\.cipher: is in the file /,
    /secret databases\.shop\.connection\.password: /,
    /repository, writing: /,
    /topology: no database was ever moved/,
    /backup tool for shop: pgBackRest .* reads \d+ backups? of stanza shop as holdfast-second/,
    /server programs for shop: PostgreSQL 15/,
    /user of restores: holdfast-second/,
    /user of shop: postgres/,
    /folder of production: .*on the same disk/,
    /disk for shop: .* free/,
    /address of shop: 127\.0\.0\.1 port \d+ is free/,
    /endpoint of shop: .*set to 127\.0\.0\.1:\d+/,
    /temporal: /,
    /workers: the queues of second/,
  ]) {
    expect(lines.filter((line) => part.test(line))).toHaveLength(1);
  }
  const left: string[] = [];
  for await (const { key } of stack.repository.list(PROBE_FOLDER)) left.push(key);
  expect(left).toEqual([]);
});

it('fails where a secret, the passphrase, the port and the endpoint are not as they should be', async () => {
  const { secrets, endpoint } = layoutOf(stack.directory);
  const { databases } = parse(await readFile(stack.config, 'utf8'));
  const squatter = createServer().listen(databases.shop.takeover.second.port, '127.0.0.1');
  const passphrase = await readFile(secrets.cipher, 'utf8');
  await writeFile(secrets.cipher, 'another one');
  for (const file of [secrets.password, endpoint]) await rename(file, `${file}.away`);
  try {
    const answer = await doctor('--output', 'json');
    expect(answer.code).toBe(1);
    const { site, ok, checks } = JSON.parse(answer.stdout) as Answer;
    expect({ site, ok }).toEqual({ site: 'second', ok: false });
    const failed = checks.filter((finding) => !finding.ok);
    expect(failed.map(({ check, detail, hint }) => `${check}: ${detail}\nHINT: ${hint}`)).toEqual([
      expect.stringMatching(
        /^secret databases\.shop\.connection\.password: .* cannot be read \(ENOENT\)\nHINT: /,
      ),
      expect.stringMatching(/^backup tool for shop: .*cannot be decrypted\nHINT: .*repository\.cipher/),
      expect.stringMatching(/^address of shop: something listens on 127\.0\.0\.1 port \d+ already\nHINT: /),
      expect.stringMatching(/^endpoint of shop: [\s\S]*\nHINT: /),
    ]);
    expect(answer.stdout).not.toContain('another one');
  } finally {
    squatter.close();
    await writeFile(secrets.cipher, passphrase);
    for (const file of [secrets.password, endpoint]) await rename(`${file}.away`, file);
  }
});
