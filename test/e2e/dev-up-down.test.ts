import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { Client, Connection } from '@temporalio/client';
import { execa } from 'execa';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { StackStatus } from '../../src/client/dev/inspection.ts';
import { freePort } from '../../src/client/dev/ports.ts';
import { identifyProcess } from '../../src/client/dev/process.ts';
import { type DevDescription, readState, writeState } from '../../src/client/dev/state.ts';
import type { AuditReport } from '../../src/model/audit.ts';
import type { AuditResult } from '../../src/model/audit-result.ts';

const HOLDFAST = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));
const ANY_PORT = ['temporal', 'ui', 's3', 'postgres'].flatMap((name) => [`--${name}-port`, '0']);

let state: string;

beforeAll(async () => {
  process.env.HOLDFAST_WORKFLOW_BUNDLE = inject('workflowBundle') ?? '';
  state = await mkdtemp(join(tmpdir(), 'dev-'));
  await chmod(state, 0o755);
});

afterAll(async () => {
  await dev('down');
  await rm(state, { recursive: true, force: true });
});

function dev(...args: string[]) {
  return execa(HOLDFAST, ['dev', ...args, '--state', state], { reject: false, stdin: 'ignore' });
}

async function up(...args: string[]): Promise<StackStatus & { started: string[] }> {
  const answer = await dev('up', '--detach', '--output', 'json', ...args);
  expect(answer.stderr).toBe('');
  return JSON.parse(answer.stdout);
}

async function description(): Promise<DevDescription> {
  return JSON.parse(await readFile(join(state, 'dev.json'), 'utf8'));
}

async function livingOf(pids: Record<string, number>): Promise<number[]> {
  const living: number[] = [];
  for (const pid of Object.values(pids)) if ((await identifyProcess(pid)) !== null) living.push(pid);
  return living;
}

async function withShop<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: (await description()).databases.shop?.url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

test('a taken port is named with its holder and the option, and nothing is started', async () => {
  const port = await freePort();
  const server = await listen(port);
  try {
    const answer = await dev('up', '--detach', ...ANY_PORT.slice(0, 4), '--s3-port', String(port));
    expect(answer.exitCode).toBe(2);
    expect(answer.stderr).toContain(`port ${port} for S3 is taken by`);
    expect(answer.stderr).toContain(`(pid ${process.pid})`);
    expect(answer.stderr).toContain('HINT: choose another with --s3-port N');
    expect((await dev('status')).exitCode).toBe(1);
  } finally {
    server.close();
  }
});

test('everything comes up, outlives its starter and is described for programs', async () => {
  const result = await up(...ANY_PORT);
  expect(result.started).toEqual(['temporal', 's3', 'postgres', 'worker', 'second']);
  expect((await dev('status')).exitCode).toBe(0);

  const found = await description();
  expect(await livingOf(found.pids)).toEqual(Object.values(found.pids));
  expect((await stat(join(state, 'dev.json'))).mode & 0o777).toBe(0o600);
  expect(found.databases.shop?.engine).toBe('postgres');
  expect(found.sites).toEqual({
    local: { queue: 'holdfast-site-local' },
    second: { queue: 'holdfast-site-second' },
  });
  const sample = await withShop((client) =>
    client.query(
      'SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM customers) AS customers',
    ),
  );
  expect(sample.rows).toEqual([{ orders: '5000', customers: '2000' }]);

  // What applications read has the password.
  expect(await readFile(join(state, 'shop.env'), 'utf8')).toBe(`DATABASE_URL=${found.databases.shop?.url}\n`);
  expect((await stat(join(state, 'shop.env'))).mode & 0o777).toBe(0o600);
  for (const folder of ['instances', 'production']) {
    expect((await stat(join(state, 'second', folder))).mode & 0o777).toBe(0o755);
  }

  const configuration = await readFile(join(state, 'holdfast.yaml'), 'utf8');
  for (const secret of [found.s3.secretAccessKey, new URL(found.databases.shop?.url ?? '').password]) {
    expect(configuration).not.toContain(secret);
  }
});

test('its bucket is as the configuration wants it; what another wants is planned, asked about and applied', async () => {
  const written = join(state, 'holdfast.yaml');
  const longer = join(state, 'longer.yaml');
  const text = await readFile(written, 'utf8');
  await writeFile(longer, text.replace('    objectives:', '    retention: {logical: 40d}\n    objectives:'));
  const repository = (...args: string[]) =>
    execa(HOLDFAST, ['repository', ...args], { reject: false, stdin: 'ignore' });

  const nothing = await repository('plan', '--config', written, '--output', 'json');
  expect(nothing.exitCode).toBe(0);
  expect(JSON.parse(nothing.stdout)).toMatchObject({ changes: [], kept: [] });

  const policies = join(state, 'policies');
  const plan = await repository('plan', '--config', longer, '--policies', policies, '--foresee');
  expect(plan.exitCode).toBe(3);
  expect(plan.stdout).toContain('a year played forward');
  expect(plan.stdout).toMatch(/~ holdfast-logical: .*31 days.* -> .*41 days/);
  const writer = JSON.parse(await readFile(join(policies, 'writer.json'), 'utf8'));
  expect(writer.Version).toBe('2012-10-17');

  const unasked = await repository('apply', '--config', longer);
  expect(unasked.exitCode).toBe(2);
  expect(unasked.stderr).toContain('HINT: look at it with holdfast repository plan');
  const applied = await repository('apply', '--config', longer, '--yes');
  expect(applied.exitCode).toBe(0);
  expect(applied.stdout).toContain('applied 1 setting');
  expect((await repository('plan', '--config', longer)).exitCode).toBe(0);
});

test('its audit says nothing; a rule that kills the base is found, by the daily run as well', async () => {
  const config = ['--config', join(state, 'holdfast.yaml')];
  const holdfast = (...args: string[]) =>
    execa(HOLDFAST, [...args, ...config], { reject: false, stdin: 'ignore' });
  const audit = async () => {
    const { stdout, exitCode } = await holdfast('repository', 'audit', '--output', 'json');
    return { ...(JSON.parse(stdout) as AuditReport), exitCode };
  };
  expect((await holdfast('repository', 'apply', '--yes')).exitCode).toBe(0);
  // The first backups are being taken.
  await expect.poll(audit, { timeout: 60_000 }).toMatchObject({ exitCode: 0, findings: [] });

  const { s3, temporal } = await description();
  const client = new S3Client({
    ...{ endpoint: s3.endpoint, region: s3.region, forcePathStyle: true },
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: await readFile(s3.caFile) }) }),
  });
  const tidy: LifecycleRule = {
    ...{ ID: 'tidy', Filter: { Prefix: 'pgbackrest/backup/' }, Expiration: { Days: 3 } },
    Status: 'Enabled',
  };
  const Bucket = s3.bucket;
  const wanted = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
  const put = (Rules: LifecycleRule[]) =>
    client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }));
  await put([...(wanted.Rules ?? []), tidy]);
  const killed = await audit();
  expect(killed.exitCode).toBe(1);
  expect(killed.findings[0]).toMatchObject({
    ...{ severity: 'critical', database: 'shop', firstDay: expect.any(String) },
    what: expect.stringContaining('tidy'),
  });

  const connection = await Connection.connect({ address: temporal.address });
  const temporalClient = new Client({ connection, namespace: temporal.namespace });
  const result: AuditResult = await temporalClient.workflow.execute('repositoryAudit', {
    ...{ args: [{}], taskQueue: 'holdfast', workflowId: 'repository-audit/by-hand' },
  });
  await connection.close();
  expect(result.findings[0]).toMatchObject({
    what: killed.findings[0]?.what,
    key: 'expires-too-early/shop/rule tidy',
  });
  const { problems } = JSON.parse((await holdfast('status', '--all', '--output', 'json')).stdout);
  expect(problems[0]).toMatchObject({ database: 'shop', what: expect.stringContaining('tidy') });

  await put(wanted.Rules ?? []);
  client.destroy();
  const page = join(state, 'audit.html');
  expect((await holdfast('repository', 'audit', '--html', '--out', page)).exitCode).toBe(0);
  expect(await readFile(page, 'utf8')).toMatch(/^<!doctype html>/);
});

test('a second up starts only what is not running', async () => {
  const before = await description();
  expect((await up()).started).toEqual([]);
  expect((await description()).pids).toEqual(before.pids);

  process.kill(before.pids.worker as number, 'SIGKILL');
  const status: StackStatus = JSON.parse((await dev('status', '--output', 'json')).stdout);
  expect(status.programs.filter((program) => program.state === 'stopped').map(({ name }) => name)).toEqual([
    'worker',
  ]);
  expect((await up()).started).toEqual(['worker']);
  const { worker: _, ...others } = before.pids;
  expect((await description()).pids).toMatchObject(others);
});

test('another configuration, or a changed one, reaches a running worker', async () => {
  const file = join(state, 'changed.yaml');
  const written = await readFile(join(state, 'holdfast.yaml'), 'utf8');
  const workerWith = async (text: string) => {
    await writeFile(file, text);
    const { started } = await up('--config', file);
    const { pids } = await description();
    return { started, command: await readFile(`/proc/${pids.worker}/cmdline`, 'utf8') };
  };
  const changed = written.replace('people: 1', 'people: 2');
  expect(changed).not.toBe(written);
  const first = await workerWith(changed);
  expect(first.started).toEqual(['worker', 'second']);
  expect(first.command).toContain(file);
  expect((await workerWith(changed)).started).toEqual([]);
  expect((await workerWith(written)).started).toEqual(['worker', 'second']);
});

test('down ends what up started and nothing else; the next up finds the same state', async () => {
  await withShop((client) =>
    client.query("INSERT INTO customers (email, name, country) VALUES ('a@b', 'A', 'DE')"),
  );
  const before = await description();
  const bystander = execa('sleep', ['600'], { cwd: state, reject: false });
  const answer = await dev('down');
  expect(answer.exitCode).toBe(0);
  expect(await livingOf(before.pids)).toEqual([]);
  expect((await description()).pids).toEqual({});

  // After a restart of the machine a process id in the state may be somebody else's.
  const pid = bystander.pid as number;
  const forgotten = await readState(state);
  await writeState(state, {
    ...forgotten,
    processes: { worker: { pid, started: 'another boot/1', program: 'node' } },
  });
  expect((await dev('down')).stdout).toContain('nothing was running');
  expect(await identifyProcess(pid)).not.toBeNull();
  bystander.kill();
  await bystander;

  await up();
  const after = await description();
  expect(after.s3).toEqual(before.s3);
  expect(after.temporal).toEqual(before.temporal);
  expect(after.databases).toEqual(before.databases);
  const found = await withShop((client) => client.query("SELECT name FROM customers WHERE email = 'a@b'"));
  expect(found.rows).toEqual([{ name: 'A' }]);
});
