import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import { freePort } from '../../src/client/dev/ports.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { DatabaseConfig } from '../../src/config/schema.ts';
import type { Catalog } from '../../src/model/backup.ts';
import type { WatchdogReport } from '../../src/model/problem.ts';
import type { Message } from '../../src/notify/channel.ts';
import { type ArchivedLog, listArchivedLogs } from '../../src/repository/logs.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { removeTopology, writeTopology } from '../../src/repository/topology.ts';
import { type Received, startReceiver } from '../http-receiver.ts';
import { deleteOrders, startRecovery } from './accident.ts';
import { expectNothingLeft } from './nothing-left.ts';
import { type Stack, startStack } from './stack.ts';

const SECRET = 'what only the two of us know';

let stack: Stack;
let folder: string;
/** where the worker answers Prometheus */
let metrics: string;
let collector: Awaited<ReturnType<typeof startReceiver>>;
/** Away at first. */
let webhook: Awaited<ReturnType<typeof startReceiver>>;
let outside: Awaited<ReturnType<typeof startReceiver>>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alerts-'));
  webhook = await startReceiver([500, 200]);
  outside = await startReceiver();
  collector = await startReceiver();
  const secret = async (name: string, value: string) => {
    await writeFile(join(folder, name), value, { mode: 0o600 });
    return { file: join(folder, name) };
  };
  const channel = { url: await secret('url', webhook.url), secret: await secret('secret', SECRET) };
  const deadManSwitch = await secret('switch', outside.url);
  metrics = `127.0.0.1:${await freePort()}`;
  stack = await startStack({
    orders: 200,
    patch: (config) => {
      config.metrics = { listen: metrics };
      config.tracing = { otlp: collector.url };
      config.notify = { channels: [{ webhook: channel }], deadManSwitch };
      config.databases.shop.verify = 'off';
      config.databases.shop.drill = 'off';
      // Logs are closed, and holes settled, soon.
      config.databases.shop.tiers = { log: { maxAge: '12s' } };
    },
  });
  await stack.json('backup', 'shop', '--tier', 'physical', '--wait');
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
  await stack.json('schedules', 'apply');
});
afterAll(async () => {
  await stack?.end();
  await webhook?.end();
  await outside?.end();
  await collector?.end();
  await rm(folder, { recursive: true, force: true });
});

const messages = (): Message[] => webhook.received.map(({ body }) => JSON.parse(body));
const titles = () => messages().map(({ title }) => title);

async function watch(): Promise<WatchdogReport> {
  const options = { taskQueue: 'holdfast', workflowId: `watchdog-${randomUUID()}`, args: [{}] };
  return stack.temporal.workflow.execute('watchdog', options);
}
const problems = async () => (await watch()).problems.map(({ key }) => key);

/** What the contract's own page tells receivers to do. */
async function documentedCheck(): Promise<
  (headers: Received['headers'], body: string, secret: string) => boolean
> {
  const page = await readFile(new URL('../../docs/contract.md', import.meta.url), 'utf8');
  const snippet = /```js\n([\s\S]*?isFromHoldfast[\s\S]*?)```/.exec(page)?.[1] as string;
  const file = join(folder, 'receiver.mjs');
  await writeFile(file, snippet);
  return (await import(file)).isFromHoldfast;
}

test('where everything that should run does, there is no problem, and somebody outside hears of it', async () => {
  await expect.poll(problems).toEqual([]);
  const all = await stack.holdfast('status', '--all');
  expect(all.stdout).toContain('everything that should have run has');
  expect(all.code).toBe(0);
  expect(outside.received.length).toBeGreaterThan(0);
});

/** What a worker tells of a metric: a value for each of its label sets, as they are written. */
async function scrape(): Promise<Map<string, number>> {
  const answer = await fetch(`http://${metrics}/metrics`);
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test('Prometheus hears what the watchdog knows, beside what the SDK says of the worker', async () => {
  await watch();
  const told = await scrape();
  const { lastRecoverableAt, backups } = await stack.json<Catalog>('catalog', 'shop');
  const recoverable = told.get('holdfast_last_recoverable_timestamp_seconds{database="shop"}') as number;
  // The catalog was read later, and more may be archived by now.
  expect(recoverable).toBeLessThanOrEqual(Date.parse(lastRecoverableAt as string) / 1_000);
  expect(recoverable).toBeGreaterThan(Date.parse(backups[0]?.startedAt as string) / 1_000 - 3_600);
  expect(told.get('holdfast_rpo_objective_seconds{database="shop"}')).toBe(300);
  for (const { tier, startedAt, finishedAt, sizeBytes } of backups) {
    const labels = `{database="shop",tier="${tier}"}`;
    const end = Date.parse(finishedAt) / 1_000;
    expect(told.get(`holdfast_backup_last_success_timestamp_seconds${labels}`)).toBe(end);
    expect(told.get(`holdfast_backup_duration_seconds${labels}`)).toBeCloseTo(
      end - Date.parse(startedAt) / 1_000,
      3,
    );
    expect(told.get(`holdfast_backup_size_bytes${labels}`)).toBe(sizeBytes);
  }
  expect(told.get('holdfast_problems{severity="critical"}')).toBe(0);
  expect(told.get('holdfast_missed_runs{database="shop"}')).toBe(0);
  expect(told.get('holdfast_log_gaps{database="shop"}')).toBe(0);
  expect(told.get('holdfast_archive_failing{database="shop"}')).toBe(0);
  expect(told.get('holdfast_archive_waiting{database="shop"}')).toBeGreaterThanOrEqual(0);
  expect(told.has('holdfast_watchdog_last_run_timestamp_seconds')).toBe(true);
  expect([...told.keys()].some((key) => key.startsWith('temporal_worker_task_slots_available{'))).toBe(true);
  expect([...told.keys()].some((key) => /^temporal_activity_.*_total\{/.test(key))).toBe(true);
});

test('a run and its activities are one trace at the collector', async () => {
  const { workflowId } = await stack.json<{ workflowId: string }>(
    'backup',
    'shop',
    '--tier',
    'logical',
    '--wait',
  );
  const spans = () =>
    collector.received
      .flatMap(({ body }) => JSON.parse(body).resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans)
      .flatMap(({ spans }) => spans);
  const named = (name: string) =>
    spans().filter(
      (span) =>
        span.name === name &&
        span.attributes.some(
          ({ value }: { value: { stringValue?: string } }) => value.stringValue === workflowId,
        ),
    );
  await expect.poll(() => named('RunActivity:takeLogicalBackup')).toHaveLength(1);
  const [dump] = named('RunActivity:takeLogicalBackup');
  const ofRun = () => spans().filter(({ traceId }) => traceId === dump.traceId);
  await expect.poll(() => ofRun().map(({ name }) => name)).toContain('StartActivity:takeLogicalBackup');
});

test('a second worker at the same port says so, and does not start', async () => {
  const { code, stderr } = await stack.holdfast('worker', '--metrics', metrics);
  expect(stderr).toContain(`metrics cannot be served at ${metrics} (EADDRINUSE)`);
  expect(code).toBe(2);
});

test('a backup that fails is told, by a webhook that was away at first, and so is the next good one', async () => {
  const { password } = layoutOf(stack.directory).secrets;
  const right = await readFile(password, 'utf8');
  await writeFile(password, 'not-the-password');
  try {
    expect((await stack.holdfast('backup', 'shop', '--tier', 'logical', '--wait')).code).toBe(1);
  } finally {
    await writeFile(password, right);
  }
  await expect.poll(titles).toContain('logicalBackup of shop failed');
  // Away at first: it is told once more.
  await expect.poll(() => webhook.received.length).toBeGreaterThan(1);
  const told = messages().find(({ title }) => title.startsWith('logicalBackup'));
  expect(told).toMatchObject({
    severity: 'critical',
    database: 'shop',
    workflowId: expect.stringMatching(/^backup\/logical\/shop\//),
  });
  expect(told?.url).toContain(encodeURIComponent(told?.workflowId ?? ''));
  await expect.poll(problems).toContain('failed/logicalBackup/shop');
  const all = await stack.holdfast('status', '--all');
  expect(all.stdout).toContain('the last logicalBackup of shop failed: backup/logical/shop/');
  expect(all.code).toBe(1);

  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
  await expect.poll(problems).not.toContain('failed/logicalBackup/shop');
  await expect
    .poll(titles)
    .toContainEqual(expect.stringMatching(/^over: the last logicalBackup of shop failed/));
});

test('a decision that waits is told, signed as documented, and nothing of the receiver is kept', async () => {
  const before = webhook.received.length;
  const id = await startRecovery(stack, await deleteOrders(stack, 1, 5));
  await stack.waitForOutcome(id, 'waiting-for-decision');
  await expect.poll(() => messages().filter(({ workflowId }) => workflowId === id)).toHaveLength(1);
  const request = webhook.received.slice(before).find(({ body }) => body.includes(id)) as Received;
  const isFromHoldfast = await documentedCheck();
  expect(isFromHoldfast(request.headers, request.body, SECRET)).toBe(true);
  expect(isFromHoldfast(request.headers, `${request.body} `, SECRET)).toBe(false);
  expect(isFromHoldfast(request.headers, request.body, 'another')).toBe(false);
  const old = { ...request.headers, 'holdfast-timestamp': '1769868300' };
  expect(isFromHoldfast(old, request.body, SECRET)).toBe(false);

  const { key } = messages().find(({ workflowId }) => workflowId === id) as Message;
  const delivery = stack.temporal.workflow.getHandle(`alert/${key}`);
  expect(await delivery.result()).toEqual({ sent: ['webhook 1'], failed: [] });
  const history = temporal.api.history.v1.History.encode(await delivery.fetchHistory()).finish();
  const kept = Buffer.from(history).toString('latin1');
  expect(kept).toContain('webhook 1');
  expect(kept).not.toContain('secret-part');
  expect(kept).not.toContain(SECRET);
  const status = await stack.status(id);
  await stack.json('reject', id, '--plan', status.plan?.digest as string, '--by', 'ben');
  await stack.waitForOutcome(id, 'rejected');
  await expectNothingLeft(stack);
});

test('a schedule that somebody deleted is found, told, and makes status --all fail', async () => {
  await stack.temporal.schedule.getHandle('holdfast/logical/shop').delete();
  await expect.poll(problems).toEqual(['schedule-missing/holdfast/logical/shop']);
  const title = 'schedule holdfast/logical/shop is missing in Temporal: what it starts does not run';
  await expect.poll(titles).toContain(title);
  expect((await scrape()).get('holdfast_missed_runs{database="shop"}')).toBe(1);
  const all = await stack.holdfast('status', '--all');
  expect(all.stdout).toContain(title);
  expect(all.stdout).toContain('holdfast schedules apply');
  expect(all.code).toBe(1);
  await stack.json('schedules', 'apply');
  await expect.poll(problems).toEqual([]);
  expect((await stack.holdfast('status', '--all')).code).toBe(0);
});

test('a log that somebody removes is told, begins a new full backup, and is no problem once a person knows', async () => {
  // Behind the base, so that it is needed, and with later ones archived.
  const [base] = (await listManifests(stack.repository, 'shop')).filter(({ tier }) => tier === 'physical');
  const stopLog = base?.positions.stopLog ?? '';
  let victim: ArchivedLog | undefined;
  await expect
    .poll(async () => {
      const logs = await listArchivedLogs(stack.repository, 'shop');
      const behind = logs.filter(({ kind, name }) => kind === 'segment' && name > stopLog);
      victim = behind.toSorted((a, b) => (a.name < b.name ? -1 : 1))[0];
      return behind.length;
    })
    .toBeGreaterThan(2);
  const { key, name } = victim as ArchivedLog;
  await stack.repository.remove(key);
  const gap = `${name}..${name}`;

  const first = (await watch()).problems.map((problem) => problem.key);
  expect(first).not.toContain(`gap/shop/${name}-${name}`);
  await expect.poll(problems).toContain(`gap/shop/${name}-${name}`);
  await expect
    .poll(titles)
    .toContain(`1 log of shop is missing, ${name}: no moment in between can be recovered`);
  const backup = stack.temporal.workflow.getHandle(`backup/physical/shop/gap-${name}-${name}`);
  expect(await backup.result()).toMatchObject({ tier: 'physical', kind: 'full' });
  await expect.poll(problems).not.toContain(`gap/shop/${name}-${name}`);

  const listed = await stack.holdfast('gap', 'list', 'shop');
  expect([listed.code, listed.stdout.replaceAll(/\s+/g, ' ')]).toEqual([
    1,
    expect.stringMatching(new RegExp(`1 missing, .*${name}, timeline 1; recoverable again from \\S+F on`)),
  ]);
  const wrong = await stack.holdfast('gap', 'acknowledge', 'shop', '--gap', 'A..B', '--reason', 'x');
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining(`HINT: its gaps are ${gap}`)]);
  const word = ['--reason', 'INC-42: removed by hand', '--by', 'ana'];
  await stack.json('gap', 'acknowledge', 'shop', '--gap', gap, ...word);
  expect((await stack.holdfast('gap', 'list')).code).toBe(0);
  const catalog = await stack.json<Catalog>('catalog', 'shop');
  expect(catalog.gaps).toMatchObject([
    { firstMissing: name, count: 1, acknowledged: { by: 'ana', reason: 'INC-42: removed by hand' } },
  ]);
  expect(catalog.intervals.length).toBeGreaterThan(1);
});

test('where a database was moved, commands follow it, and its old primary is a problem when it answers again', async () => {
  const { connection } = (await loadConfig(stack.config)).config.databases.shop as DatabaseConfig;
  const address = { host: connection.host, port: connection.port };
  const { rows } = await stack.production.query<{ identifier: string }>(
    'SELECT system_identifier::text AS identifier FROM pg_control_system()',
  );
  await writeTopology(stack.repository, {
    ...{
      formatVersion: 1,
      database: 'shop',
      by: 'disaster/shop/1',
      at: '2026-01-31T12:10:00Z',
      site: 'local',
    },
    ...{ host: 'elsewhere', address: { host: '127.0.0.1', port: 1 }, stanza: 'shop-moved' },
    ...{ dataDirectory: '/moved/data', socketDirectory: '/moved', systemUser: 'postgres', timeline: 2 },
    systemIdentifier: rows[0]?.identifier ?? '',
    former: [{ stanza: 'shop', host: 'local', address, until: '2026-01-31T12:00:00Z', timeline: 1 }],
  });
  const key = `old-primary/shop/${address.host}:${address.port}`;
  const title = `the old primary of shop answers again at ${address.host}:${address.port}: timeline 1, it can be written to`;
  await expect.poll(problems).toContain(key);
  await expect.poll(titles).toContain(title);
  const all = await stack.holdfast('status', '--all');
  expect(all.stdout.replaceAll(/\s+/g, ' ')).toContain(title);
  expect(all.code).toBe(1);
  expect((await stack.holdfast('connect', 'shop', '--print')).stdout).toContain('@127.0.0.1:1/');
  const { stdout } = await stack.holdfast('schedules', 'apply', '--dry-run');
  expect(stdout).toContain('+ holdfast/log-archive-watch/elsewhere');

  const [run] = await stack.json<{ workflowId: string }[]>('list');
  stack.pause('s3');
  try {
    const away = await stack.holdfast('connect', 'shop', '--print');
    expect(away.stdout).toContain(`:${address.port}/`);
    expect(away.stderr).toContain('note: databases are taken to live where the configuration says');
    expect((await stack.holdfast('schedules', 'apply', '--dry-run')).stderr).toContain('did not say in time');
    expect((await stack.holdfast('status', run?.workflowId ?? '')).stderr).toBe('');
  } finally {
    stack.goOn('s3');
  }

  await removeTopology(stack.repository, 'shop');
  await expect.poll(problems).not.toContain(key);
  await expect.poll(titles).toContain(`over: ${title}`);
});

test('config check tells who hears of it, not where', async () => {
  const { stdout } = await stack.holdfast('config', 'check');
  expect(stdout).toContain(`alerts go to: webhook 1 (in the file ${join(folder, 'url')})`);
  expect(stdout).toContain(`dead man's switch: its address is in the file ${join(folder, 'switch')}`);
  expect(stdout).not.toContain('secret-part');
});
