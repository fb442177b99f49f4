import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { listHeartbeats } from '../../src/repository/heartbeats.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { expectNothingLeft, refusalOf, wholeShop } from './nothing-left.ts';
import { pause, type Stack, startStack } from './stack.ts';

const run = promisify(execFile);
const PITR = 'pointInTimeRecovery';
const REASON = { reason: 'a test', requestedBy: 'ana' };

let stack: Stack;
let shop: string;
let manifests: number;

beforeAll(async () => {
  stack = await startStack({
    orders: 500,
    patch: (config, directory) => {
      config.noWorkerAfter = '8s';
      config.hosts.moon = {};
      config.sites.moon = { hosts: ['moon'], directory: join(directory, 'moon') };
      config.sites.full = { hosts: ['local'], directory: join(directory, 'full'), reserveBytes: 4e15 };
      const { postgres, ...rest } = config.databases.shop;
      config.databases.away = { ...rest, host: 'moon', postgres: { ...postgres, stanza: 'away' } };
    },
    // Nobody serves the moon.
    roles: 'control,host:local,site:local,site:full',
  });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  shop = await wholeShop(stack);
  manifests = (await listManifests(stack.repository, 'shop')).length;
  expect(manifests).toBe(1);
});
afterAll(async () => {
  await stack?.end();
});
afterEach(async () => {
  await expectNothingLeft(stack);
  expect(await readdir(stack.directory)).not.toContain('moon');
  expect(await wholeShop(stack)).toBe(shop);
  expect(await listManifests(stack.repository, 'shop')).toHaveLength(manifests);
});

const at = (offsetMs: number) => new Date(Date.now() + offsetMs).toISOString();
const pitr = (more: object) => ({ database: 'shop', target: { latest: true }, ...REASON, ...more });

describe('refused by the workflow itself, whoever started it', () => {
  it.each<[string, string, unknown, string, RegExp]>([
    ['a naive timestamp', PITR, pitr({ target: { time: '2026-01-31T14:05:00' } }), 'InvalidInput', /offset/],
    [
      'a target in the future',
      PITR,
      pitr({ target: { time: '2199-01-01T00:00:00Z' } }),
      'TargetNotRecoverable',
      /in the future\nHINT: it is 20\d\d-.* now/,
    ],
    [
      'a target before the oldest interval',
      PITR,
      pitr({ target: { time: '2020-01-01T00:00:00+02:00' } }),
      'TargetNotRecoverable',
      /is before the oldest moment that can be recovered, 20\d\d-\d\d-\d\dT/,
    ],
    [
      'an unknown database',
      PITR,
      pitr({ database: 'shpo' }),
      'UnknownDatabase',
      /"shpo"[\s\S]*HINT: .*\bshop\b/,
    ],
    [
      'an unknown table',
      PITR,
      pitr({ tables: ['public.ordres'] }),
      'UnknownTable',
      /no table public\.ordres\nHINT: did you mean public\.orders/,
    ],
    [
      'an unknown backup',
      PITR,
      pitr({ target: { backup: '20200101-000000F' } }),
      'UnknownBackup',
      /20200101-000000F\nHINT: the newest are \d{8}-\d{6}F/,
    ],
    [
      'a field misspelt',
      PITR,
      pitr({ tabels: ['orders'] }),
      'InvalidInput',
      /unknown field tabels\nHINT: .*tables/,
    ],
    [
      'a field that is missing',
      PITR,
      { database: 'shop', target: { latest: true }, reason: 'a test' },
      'InvalidInput',
      /requestedBy is missing/,
    ],
    [
      'a target misspelt',
      PITR,
      pitr({ target: { tiem: '2026-01-31T14:05:00Z' } }),
      'InvalidInput',
      /target: must have exactly one of time, lsn/,
    ],
    ['no object at all', 'logicalBackup', 'shop', 'InvalidInput', /HINT: the fields are database/],
    [
      'a rule that is none',
      PITR,
      pitr({ conflict: 'overwrite' }),
      'InvalidInput',
      /conflict: .*insert-missing/,
    ],
    [
      'an export of nothing',
      PITR,
      pitr({ export: 'csv:repository' }),
      'InvalidInput',
      /an export needs tables/,
    ],
    [
      'a dump of some of the rows',
      PITR,
      pitr({ export: 'dump:repository', tables: ['orders'], conflict: 'replace' }),
      'InvalidInput',
      /a dump has whole tables/,
    ],
    [
      'an export to a path that leads elsewhere',
      PITR,
      pitr({ export: 'csv:/tmp/../etc', tables: ['orders'] }),
      'InvalidInput',
      /must not have \. or \.\. in it/,
    ],
    [
      'an export as nobody knows what',
      PITR,
      pitr({ export: 'xml:repository', tables: ['orders'] }),
      'InvalidInput',
      /export: must be csv:repository/,
    ],
    ['an unknown site', PITR, pitr({ site: 'mars' }), 'InvalidInput', /"mars"\nHINT: .*local, moon/],
    [
      'a backup of an unknown database',
      'logicalBackup',
      { database: 'shpo' },
      'UnknownDatabase',
      /HINT: .*\bshop\b/,
    ],
    [
      'a kind that is none',
      'physicalBackup',
      { database: 'shop', kind: 'incr' },
      'InvalidInput',
      /kind: .*full/,
    ],
  ])('%s', async (_what, type, input, failure, words) => {
    const refusal = await refusalOf(stack, type, input);
    expect(refusal.type).toBe(failure);
    expect(refusal.message).toMatch(words);
  });
});

describe('refused by the command line, before a workflow exists', () => {
  it.each<[string, string[], RegExp, number]>([
    ['a target in the future', ['--time', '2199-01-01T00:00:00Z'], /in the future\nHINT: /, 1],
    [
      'a target before the oldest interval',
      ['--time', '2020-01-01T00:00:00Z'],
      /before the oldest moment/,
      1,
    ],
    ['an unknown table', ['--latest', '--table', 'ordres'], /HINT: did you mean public\.orders/, 2],
    ['an unknown backup', ['--backup', '20200101-000000F'], /HINT: the newest are \d{8}-\d{6}F/, 2],
    ['a site without a worker', ['--latest', '--site', 'moon'], /holdfast-site-moon.*\nHINT: .*site:moon/, 1],
  ])('%s', async (_what, given, words, code) => {
    const answer = await stack.holdfast('restore', 'pitr', 'shop', ...given, '--reason', 'a test');
    expect(answer.stderr).toMatch(/\nHINT: \S/);
    expect(answer.stderr).toMatch(words);
    expect(answer.stdout).toBe('');
    expect(answer.code).toBe(code);
    const started = stack.temporal.workflow.list({ query: `WorkflowId STARTS_WITH "pitr/"` });
    for await (const { workflowId } of started) throw new Error(`${workflowId} was started`);
  });
});

describe('what only shows on the way', () => {
  it('a disk that is too small: refused with the numbers before anything is made', async () => {
    const refusal = await refusalOf(stack, PITR, pitr({ site: 'full' }));
    expect(refusal.type).toBe('NotEnoughSpace');
    expect(refusal.message).toMatch(
      /needs [\d.]+ [MG]B in .*full of site full, where [\d.]+ [MG]B are free and 4000000\.0 GB have to stay free\nHINT: free [\d.]+ GB/,
    );
    expect(await readdir(join(stack.directory, 'full'))).toEqual([]);
  });

  it('nobody on a queue: the queue is named by the recovery and by the backup', async () => {
    const [recovery, backup] = await Promise.all([
      refusalOf(stack, PITR, pitr({ site: 'moon' })),
      refusalOf(stack, 'logicalBackup', { database: 'away' }),
    ]);
    expect(recovery.type).toBe('NoWorker');
    expect(recovery.message).toMatch(/task queue holdfast-site-moon\nHINT: .*--roles site:moon/);
    expect(backup.type).toBe('NoWorker');
    expect(backup.message).toMatch(/task queue holdfast-host-moon\nHINT: .*--roles host:moon/);
  });

  it('a wrong password: nothing is made, and it is not told', async () => {
    const { password } = layoutOf(stack.directory).secrets;
    const right = await readFile(password, 'utf8');
    await writeFile(password, 'not-the-password');
    try {
      const refusals = await Promise.all([
        refusalOf(stack, 'logicalBackup', { database: 'shop' }),
        refusalOf(stack, 'physicalBackup', { database: 'shop', kind: 'full' }),
        refusalOf(stack, PITR, pitr({ tables: ['orders'] })),
      ]);
      for (const { type, message } of refusals) {
        expect(type).toBe('AuthenticationFailed');
        expect(message).toMatch(/refused user postgres[\s\S]*HINT: check the password/);
        expect(message).not.toContain('not-the-password');
      }
      const { code, stdout, stderr } = await stack.holdfast('backup', 'shop', '--tier', 'logical', '--wait');
      expect(stdout + stderr).toMatch(/refused user postgres[\s\S]*HINT: check the password/);
      expect(code).toBe(1);
    } finally {
      await writeFile(password, right);
    }
    for await (const { key } of stack.repository.list('logical/')) throw new Error(`${key} was left`);
  });

  it('a target later than the last commit is made reachable while production is alive, on an isolated server', async () => {
    const target = at(0);
    await pause(1_100);
    const before = await listHeartbeats(stack.repository, 'shop');
    expect(before.filter((heartbeat) => heartbeat.at > target)).toEqual([]);
    const { workflowId } = await stack.json<{ workflowId: string }>(
      ...['restore', 'pitr', 'shop', '--time', target, '--keep-instance', '30m', '--reason', 'a test'],
    );
    const status = await stack.waitForStep(workflowId, 'hand over', 'waiting');
    const after = await listHeartbeats(stack.repository, 'shop');
    expect(after.filter((heartbeat) => heartbeat.at > target)).toHaveLength(1);
    await expectIsolation(status);
    const resumed = await stack.holdfast('resume', workflowId);
    expect(resumed.stderr).toBe('');
    const ended = (await stack.temporal.workflow.getHandle(workflowId).result()) as RunbookStatus;
    expect(ended.outcome).toBe('completed');
    for await (const { key } of stack.repository.list('pgbackrest/archive/')) {
      expect(key).not.toMatch(/\.history|\/0000000[2-9A-F]/);
    }
  });

  it('is refused with the last recoverable moment once production is gone', async () => {
    const target = at(0);
    await pause(1_100);
    await stack.stopProduction();
    try {
      const { lastRecoverableAt } = await stack.json<{ lastRecoverableAt: string }>('catalog', 'shop');
      const refusal = await refusalOf(stack, PITR, pitr({ target: { time: target } }));
      expect(refusal.type).toBe('TargetNotRecoverable');
      expect(refusal.message).toContain(`HINT: use latest, or a time up to ${lastRecoverableAt}`);
    } finally {
      await stack.startProduction();
    }
  });
});

/** It never archives, listens on its private socket alone, and its user sees nothing of production. */
async function expectIsolation(status: RunbookStatus): Promise<void> {
  const { instances, postgresData } = layoutOf(stack.directory);
  const data = join(instances, status.instance?.id as string, 'data');
  const pid = Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  const { stdout: uid } = await run('id', ['-u', 'holdfast-restore']);
  expect(/^Uid:\s+(\d+)\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.slice(1)).toEqual([
    uid.trim(),
    uid.trim(),
  ]);
  expect(await listeningTcp(pid)).toEqual([]);
  const { stdout: gid } = await run('id', ['-g', 'holdfast-restore']);
  const as = [`--reuid=${uid.trim()}`, `--regid=${gid.trim()}`, '--clear-groups'];
  await expect(run('setpriv', [...as, 'ls', postgresData])).rejects.toThrow(/Permission denied/);

  const client = new pg.Client({ connectionString: status.instance?.url as string });
  await client.connect();
  const { rows } = await client.query(
    `SELECT current_setting('archive_mode') AS archive, current_setting('listen_addresses') AS listen,
            pg_is_in_recovery() AS recovering, (SELECT count(*)::int FROM orders) AS orders`,
  );
  await client.end();
  expect(rows).toEqual([{ archive: 'off', listen: '', recovering: true, orders: 500 }]);
}

async function listeningTcp(pid: number): Promise<string[]> {
  const sockets = new Set<string>();
  for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
    const link = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    sockets.add(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '');
  }
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  );
  return tables
    .flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)))
    .filter((fields) => fields[3] === '0A' && sockets.has(fields[9] ?? '-'))
    .map((fields) => fields[1] as string);
}
