import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import { runningPid } from '../../src/client/dev/postgres.ts';
import { takeDown } from '../../src/client/dev/shutdown.ts';
import { readDescription, readState } from '../../src/client/dev/state.ts';
import type { Catalog } from '../../src/model/backup.ts';
import type { DrillRecord } from '../../src/model/drill.ts';
import type { RunbookStatus } from '../../src/model/runbook.ts';
import { readEvidence } from '../../src/repository/evidence.ts';
import { readTopology } from '../../src/repository/topology.ts';
import { approve, deleteOrders, fingerprint, startRecovery } from './accident.ts';
import { type Application, startApplication } from './application.ts';
import {
  approveAt,
  archiveNow,
  ask,
  awaitDecision,
  endpointFile,
  placesOf,
  startDisaster,
  takenOverUrl,
} from './disasters.ts';
import { expectNothingLeft } from './nothing-left.ts';
import { type Pgbouncer, startPgbouncer } from './pgbouncer.ts';
import { findFirstSite, loseFirstSite, startOldPrimary, stopOldPrimary } from './sites.ts';
import { pause, type Stack, startStack } from './stack.ts';

vi.setConfig({ testTimeout: 300_000 });

let stack: Stack;
let bouncer: Pgbouncer;
let application: Application;
let port: number;
let newUrl: string;
let identifier: string;

beforeAll(async () => {
  stack = await startStack({
    second: true,
    orders: 300,
    patch: async (config, directory) => {
      const { shop } = config.databases;
      const { host, port, user, database } = shop.connection as Record<string, string>;
      bouncer = await startPgbouncer({
        directory: join(directory, 'pgbouncer'),
        server: {
          ...{ host: host as string, port: Number(port), user: user as string, database: database as string },
          password: await readFile(layoutOf(directory).secrets.password, 'utf8'),
        },
      });
      const { ini, admin } = bouncer;
      (shop.endpoints as object[]).push({ pgbouncer: { ini, database: 'shop', admin } });
      shop.verify = { health: [{ sql: 'SELECT count(*) > 0 FROM orders' }] };
    },
  });
  port = (await readState(stack.directory)).takeoverPort as number;
  newUrl = takenOverUrl(stack, port);
  const [control] = (
    await stack.production.query<{ id: string }>(
      'SELECT system_identifier::text AS id FROM pg_control_system()',
    )
  ).rows;
  identifier = control?.id as string;
  expect(await stack.holdfast('schedules', 'apply')).toMatchObject({ code: 0, stderr: '' });
  await stack.json('backup', 'shop', '--tier', 'physical', '--kind', 'full', '--wait');
  await stack.json('backup', 'shop', '--tier', 'logical', '--wait');
  await stack.production.query('CREATE TABLE kept (name text)');
});

afterAll(async () => {
  await application?.end();
  await bouncer?.end();
  await stack?.end();
});

let disaster: string;
/** when the row was not there yet that the disaster spared */
let before: string;

it('a drill goes up to the switch at the second site, isolated, and changes nothing', async () => {
  await archiveNow(stack);
  const endpoint = await readFile(endpointFile(stack), 'utf8');
  const answer = await stack.holdfast('drill', 'shop', '--runbook', 'full', '--wait', '--output', 'json');
  const { result } = JSON.parse(answer.stdout) as { result: DrillRecord };
  expect([result.outcome, result.reasons, answer.code]).toEqual(['met', [], 0]);
  expect(result).toMatchObject({ runbook: 'fullDisasterRecovery', site: 'second' });
  expect(await placesOf(stack)).toEqual({ instances: [], production: [] });
  expect(await readTopology(stack.repository, 'shop')).toBeNull();
  expect(await readFile(endpointFile(stack), 'utf8')).toBe(endpoint);
  await expectNothingLeft(stack);
});

it('the first site is lost, and its database lives at the second one with every archived commit', async () => {
  application = await startApplication(() => bouncer.url);
  await application.firstAnswer(isOld);
  before = await clock(stack.production);
  await stack.production.query(`INSERT INTO kept VALUES ('archived')`);
  await archiveNow(stack);
  await stack.production.query(`INSERT INTO kept VALUES ('lost')`);
  await loseFirstSite(stack);

  disaster = await startDisaster(stack);
  const { plan } = await awaitDecision(stack, disaster, 'recover');
  expect((await stack.holdfast('status', disaster)).code).toBe(3);
  expect(plan?.summary).toMatch(/^recover shop at second to the end of its logs: commits since \S+ are lost/);
  await approveAt(stack, disaster, 'recover');
  const switching = await awaitDecision(stack, disaster, 'switch');
  const old = `127.0.0.1:${new URL(stack.description.databases.shop?.url as string).port}`;
  expect(switching.plan?.endpoints).toEqual(
    [`file ${endpointFile(stack)}`, `pgbouncer ${bouncer.ini} [shop]`].map((name) => ({
      ...{ name, from: old, to: `127.0.0.1:${port}` },
    })),
  );
  // Clients still stand before the old one.
  expect(application.answered.every(({ server }) => isOld(server))).toBe(true);
  await approveAt(stack, disaster, 'switch');
  const result = (await stack.temporal.workflow.getHandle(disaster).result()) as RunbookStatus;
  expect(result).toMatchObject({ outcome: 'completed', instance: null });
  expect((await stack.holdfast('status', disaster)).code).toBe(0);

  await application.firstAnswer((server) => server === `${identifier}/2`);
  expect(await ask(newUrl, 'SELECT name FROM kept')).toEqual([{ name: 'archived' }]);
  expect(await readFile(endpointFile(stack), 'utf8')).toBe(`DATABASE_URL=${newUrl}\n`);
  expect(await placesOf(stack)).toEqual({ instances: [], production: [expect.any(String)] });
});

it('what the runbook leaves: evidence with the times, and everything follows the database', async () => {
  const evidence = await readEvidence(stack.repository, 'shop', disaster);
  expect(evidence?.disaster).toMatchObject({
    loss: { transactions: { lost: expect.any(Number) } },
    fenced: { by: 'word' },
    server: { address: { host: '127.0.0.1', port }, timeline: 2 },
    achieved: { rpoSeconds: expect.any(Number), rtoSeconds: expect.any(Number) },
  });
  expect(evidence?.checks.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
  const topology = await readTopology(stack.repository, 'shop');
  expect(topology).toMatchObject({ by: disaster, site: 'second', host: 'second', timeline: 2 });
  expect(topology?.former).toMatchObject([{ stanza: 'shop', host: 'local', timeline: 1 }]);
  const { stdout } = await stack.holdfast('schedules', 'list');
  expect(stdout).toContain('holdfast/log-archive-watch/second');
  expect(stdout).not.toContain('holdfast/log-archive-watch/local');
  const connected = await stack.holdfast('connect', 'shop', '--', '-Atc', 'SHOW port');
  expect(connected.stdout).toBe(String(port));
});

it('the new primary is backed up, and can be recovered to after the switch and to before it', async () => {
  const stanza = (await readTopology(stack.repository, 'shop'))?.stanza as string;
  const backups = async () => (await stack.json<Catalog>('catalog', 'shop')).backups;
  const full = async () => (await backups()).filter(({ tier }) => tier === 'physical');
  await expect.poll(async () => (await full()).length, { timeout: 120_000, interval: 500 }).toBe(2);
  // The tool cuts the second in which a backup ended: it is known to be consistent after that.
  const ended = Math.max(...(await full()).map(({ finishedAt }) => Date.parse(finishedAt)));
  await expect.poll(() => Date.now() > ended + 1_000).toBe(true);
  stack.production = new pg.Client({ connectionString: newUrl });
  await stack.production.connect();
  const accident = await deleteOrders(stack, 1, 50);
  await archiveNow(stack, { port, stanza });
  const undo = await startRecovery(stack, accident, '--site', 'second');
  await approve(stack, await stack.waitForOutcome(undo, 'waiting-for-decision'));
  await stack.waitForOutcome(undo, 'completed');
  expect(await fingerprint(stack, 1, 50)).toBe(accident.before);

  const { workflowId } = await stack.json<{ workflowId: string }>(
    ...['restore', 'pitr', 'shop', '--time', before, '--site', 'second', '--reason', 'how was it before'],
  );
  await stack.waitForStep(workflowId, 'hand over', 'waiting');
  const rows = await stack.holdfast('connect', workflowId, '--', '-Atc', 'SELECT count(*) FROM kept');
  expect(rows).toMatchObject({ stdout: '0', stderr: '' });
  await stack.holdfast('resume', workflowId);
  await stack.waitForOutcome(workflowId, 'completed');
});

it('the old primary comes back: it is told, nothing is written to it, and what it archives does not count', async () => {
  const oldUrl = stack.description.databases.shop?.url as string;
  const oldPort = Number(new URL(oldUrl).port);
  await findFirstSite(stack);
  await startOldPrimary(stack);
  const topology = await readTopology(stack.repository, 'shop');
  const history = async () =>
    (await stack.json<Catalog>('catalog', 'shop')).intervals.filter(
      ({ from }) => from < (topology?.at as string),
    );
  const known = await history();
  await ask(oldUrl, `INSERT INTO kept VALUES ('written where nobody looks')`);
  await archiveNow(stack, { port: oldPort });
  expect(await history()).toEqual(known);

  const transactions = `SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next`;
  const written = await ask(oldUrl, transactions);
  const all = await stack.holdfast('status', '--all');
  expect(all.code).toBe(1);
  expect(all.stdout).toContain(
    `the old primary of shop answers again at 127.0.0.1:${oldPort}: timeline 1, it can be written to`,
  );
  expect(await ask(oldUrl, transactions)).toEqual(written);
  await stopOldPrimary(stack);
});

it('the environment goes down and up with the server that took over, and the reaper leaves it alone', async () => {
  await application.end();
  await stack.production.end();
  expect(await takeDown(stack.directory)).toMatchObject({ takenOver: 1, instances: 0 });
  await expect(ask(newUrl, 'SELECT')).rejects.toThrow('ECONNREFUSED');
  await stack.startWorker();
  expect(await ask(newUrl, 'SELECT name FROM kept')).toEqual([{ name: 'archived' }]);
  expect(await runningPid(layoutOf(stack.directory).postgresData)).toBeNull();
  const dev = await stack.holdfast('dev', 'status', '--state', stack.directory);
  expect(dev).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`127.0.0.1:${port}, at site second`),
  });
  expect((await readDescription(stack.directory))?.databases.shop?.url).toBe(newUrl);

  const again = await stack.holdfast('dev', 'up', '--detach', '--state', stack.directory, '--output', 'json');
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(again.stdout)).toMatchObject({ started: [] });
  expect((await stack.holdfast('schedules', 'list')).stdout).not.toContain('log-archive-watch/local');

  const { production } = await placesOf(stack);
  const reaped = await stack.temporal.workflow.execute('instanceReaper', {
    ...{ args: [{}], taskQueue: 'holdfast', workflowId: 'reaper/after-disaster' },
  });
  expect(reaped).toMatchObject({ removed: [], unreached: [] });
  expect((await placesOf(stack)).production).toEqual(production);
  expect(await ask(newUrl, 'SELECT name FROM kept')).toEqual([{ name: 'archived' }]);
});

const isOld = (server: string) => server === `${identifier}/1`;

async function clock(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  await pause(1_100);
  return rows[0]?.now.toISOString() as string;
}
