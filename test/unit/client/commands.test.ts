import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { configCommand } from '../../../src/client/commands/config.ts';
import { initCommand } from '../../../src/client/commands/init.ts';
import { formatChanges } from '../../../src/client/commands/schedules.ts';
import { databaseText, exampleText } from '../config/example.ts';

let directory: string;
let out = '';
let err = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-commands-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));
beforeEach(() => {
  out = '';
  err = '';
  process.exitCode = 0;
  vi.stubEnv('TEMPORAL_ADDRESS', 'temporal:7233');
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = 0;
});

async function run(command: Command, ...given: string[]): Promise<typeof process.exitCode> {
  await command.parseAsync(given, { from: 'user' });
  const code = process.exitCode;
  process.exitCode = 0;
  return code;
}

test('init writes a configuration that config check accepts, and never overwrites one unasked', async () => {
  const path = join(directory, 'new.yaml');
  expect(await run(initCommand(), '--config', path)).toBe(0);
  expect(await run(configCommand(), 'check', '--config', path)).toBe(0);
  await writeFile(path, 'mine');
  expect(await run(initCommand(), '--config', path)).toBe(2);
  expect(err).toBe(`${path} exists\nHINT: give --force to overwrite it\n`);
  expect(await readFile(path, 'utf8')).toBe('mine');
  expect(await run(initCommand(), '--config', path, '--force')).toBe(0);
  expect(await readFile(path, 'utf8')).toContain('version: 1');
});

test('init says where it could not write', async () => {
  expect(await run(initCommand(), '--config', join(directory, 'no/such/x.yaml'), '--output', 'json')).toBe(2);
  expect(JSON.parse(err)).toEqual({
    error: {
      type: 'InvalidInput',
      message: `${join(directory, 'no/such/x.yaml')} cannot be written (ENOENT)`,
      hint: 'name another file with --config',
    },
  });
});

test('config check shows databases, objectives and the arithmetic', async () => {
  const path = join(directory, 'shop.yaml');
  await writeFile(
    path,
    exampleText({ databases: databaseText('shop', 'class: [financial, critical-saas]') }),
  );
  expect(await run(configCommand(), 'check', '--config', path)).toBe(0);
  expect(out).toContain(`${path} is right\ntemporal: temporal:7233, namespace default\n`);
  expect(out).toContain('shop (postgres): RPO 1h, RTO 30m');
  expect(out).toContain('  RPO 1h (class financial): newest log is at most 5m old.');
  expect(out).toContain('  logical: "5 2 * * *", kept 30d');
  expect(out).toContain('how long the repository keeps it\n  log 7d: kept 15 days at least: a window of 7d');
  expect(out).toContain('GLACIER after 30d');

  out = '';
  expect(await run(configCommand(), 'check', '--config', path, '--output', 'json')).toBe(0);
  const [shop] = JSON.parse(out).databases;
  expect(shop).toMatchObject({
    name: 'shop',
    objectives: { rpoSeconds: 3_600, rtoSeconds: 1_800, rpoFrom: 'class financial' },
    tiers: { log: { maxAgeSeconds: 300 }, logical: { schedule: ['5 2 * * *'] } },
  });
});

test('config check shows where a database would live after a disaster', async () => {
  const path = join(directory, 'takeover.yaml');
  const lines = [
    'takeover: {here: {address: 127.0.0.1, port: 5433}}',
    'fence: {command: [/usr/local/bin/fence]}',
    'endpoints: [{file: {path: /etc/shop.env, url: DATABASE_URL}}, {file: {path: /etc/pg.conf, service: shop}}]',
  ];
  await writeFile(path, exampleText({ databases: databaseText('shop', lines.join('\n')) }));
  expect(await run(configCommand(), 'check', '--config', path)).toBe(0);
  expect(out.replaceAll(/\s+/g, ' ')).toContain(
    'after a disaster: at here as 127.0.0.1:5433; a command fences the old server; clients are switched in file /etc/shop.env, file /etc/pg.conf [shop]',
  );
  out = '';
  await run(configCommand(), 'check', '--config', path, '--output', 'json');
  expect(JSON.parse(out).databases[0].disaster).toEqual({
    takeover: [{ site: 'here', address: '127.0.0.1', port: 5433 }],
    fence: 'command',
    endpoints: ['file /etc/shop.env', 'file /etc/pg.conf [shop]'],
  });
});

test('config check ends with 2 where something is wrong, in both forms', async () => {
  const path = join(directory, 'wrong.yaml');
  await writeFile(path, exampleText().replace('engine: postgres', 'engine: postgre'));
  expect(await run(configCommand(), 'check', '--config', path)).toBe(2);
  expect(err).toBe(
    `${path} line 11: databases.shop.engine: must be one of postgres, mysql, mongodb\nHINT: do you mean postgres?\n`,
  );
  err = '';
  expect(await run(configCommand(), 'check', '--config', path, '--output', 'json')).toBe(2);
  expect(JSON.parse(err).error).toMatchObject({
    type: 'InvalidConfiguration',
    hint: 'do you mean postgres?',
  });
  expect(out).toBe('');
});

test('the difference of the schedules is readable', () => {
  const text = formatChanges([
    {
      id: 'holdfast/a',
      kind: 'create',
      paused: null,
      fields: [{ name: 'when', from: null, to: '5 2 * * *' }],
    },
    {
      id: 'holdfast/b',
      kind: 'update',
      paused: { note: 'disk is full' },
      fields: [{ name: 'overlap', from: 'ALLOW_ALL', to: 'SKIP' }],
    },
    { id: 'holdfast/c', kind: 'remove', paused: null, fields: [] },
    { id: 'holdfast/d', kind: 'keep', paused: { note: null }, fields: [] },
    { id: 'holdfast/e', kind: 'keep', paused: null, fields: [] },
  ]);
  expect(text).toBe(
    [
      '+ holdfast/a',
      '    5 2 * * *',
      '~ holdfast/b (paused: disk is full, stays so)',
      '    overlap: ALLOW_ALL -> SKIP',
      '- holdfast/c',
      '  holdfast/d (paused)',
      '2 of 5 schedules are as they should be',
    ].join('\n'),
  );
});
