import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { startPostgres } from '../../src/client/dev/postgres.ts';
import { fingerprint } from '../../src/engines/postgres/fingerprint.ts';
import { dumpPrograms } from '../../src/engines/postgres/programs.ts';
import type { Manifest } from '../../src/model/backup.ts';
import { logicalFolder } from '../../src/repository/layout.ts';
import { listManifests } from '../../src/repository/manifests.ts';
import { expectNothingLeft } from './nothing-left.ts';
import type { Stack } from './stack.ts';

const run = promisify(execFile);
const AWS = fileURLToPath(new URL('../engine/postgres-aws.ts', import.meta.url));
const ROW_BYTES = 1_024;

/** Adds a table of random text, which compresses to about half. Unlogged: a dump holds it, the log need not. */
export async function addLargeTable(stack: Stack, megabytes: number): Promise<void> {
  await stack.production.query('CREATE UNLOGGED TABLE large (id int PRIMARY KEY, noise text)');
  await stack.production.query('ALTER TABLE large ALTER COLUMN noise SET STORAGE EXTERNAL');
  await stack.production.query(
    `INSERT INTO large SELECT n, (SELECT string_agg(md5(random()::text || n || i), '') FROM generate_series(1, ${ROW_BYTES / 32}) i)
       FROM generate_series(1, $1::int) n`,
    [Math.round((megabytes * 1_048_576) / ROW_BYTES)],
  );
}

/** Starts a logical backup, lets `happen` do its harm in the middle of the upload, and returns the only manifest. */
export async function backUpThrough(stack: Stack, happen: () => Promise<void>): Promise<Manifest> {
  const before = (await listManifests(stack.repository, 'shop')).map(({ id }) => id);
  const { workflowId } = await stack.temporal.workflow.start('logicalBackup', {
    args: [{ database: 'shop' }],
    taskQueue: 'holdfast',
    workflowId: `backup/logical/shop/${crypto.randomUUID()}`,
  });
  await expect.poll(async () => (await stack.repository.uploads('')).length, { timeout: 120_000 }).toBe(1);
  await happen();
  await stack.temporal.workflow.result(workflowId);

  const made = (await listManifests(stack.repository, 'shop')).filter(({ id }) => !before.includes(id));
  expect(made).toHaveLength(1);
  const [manifest] = made as [Manifest];
  expect(await keysUnder(stack, logicalFolder('shop', manifest.id))).toEqual(keysOf(manifest));
  await expectNothingLeft(stack);
  return manifest;
}

async function keysUnder(stack: Stack, folder: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of stack.repository.list(folder)) keys.push(key);
  return keys.sort();
}

function keysOf({ databases, globals, relations, instructions }: Manifest): string[] {
  const objects = databases.flatMap((database) => [...database.objects, database.schema]);
  return [...objects, globals, relations, instructions].map((object) => object?.key ?? 'missing').sort();
}

/** Restores a backup into a server of its own by the commands of its RESTORE.md alone; every fingerprint is equal. */
export async function expectRestores(stack: Stack, manifest: Manifest): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'by-hand-'));
  await run('chmod', ['755', folder]);
  const scratch = await startPostgres({
    ...{ directory: join(folder, 'server'), port: 0, major: 15, systemUser: 'postgres' },
    ...{ password: 'scratch', database: 'postgres', settings: { fsync: 'off', max_wal_size: '4GB' } },
  });
  try {
    const text =
      (await stack.repository.getText(manifest.instructions as { key: string; versionId: string })) ?? '';
    const script = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, code]) => code).join('\n');
    const { psql } = await dumpPrograms(15);
    const { s3 } = stack.description;
    const place = join(folder, 'place');
    await mkdir(place);
    await run('sh', ['-c', `aws() { node ${AWS} "$@"; }; ${script}`], {
      cwd: place,
      env: {
        PATH: `${join(psql, '..')}:${join(process.execPath, '..')}:${process.env.PATH}`,
        ...{ NODE_EXTRA_CA_CERTS: s3.caFile, LC_ALL: 'C.UTF-8' },
        ...{ AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey },
        ...{
          PGHOST: '127.0.0.1',
          PGPORT: String(scratch.access.port),
          PGUSER: 'postgres',
          PGPASSWORD: 'scratch',
        },
      },
    });
    const wanted = manifest.databases.find(({ name }) => name === 'shop')?.fingerprints;
    const restored = await fingerprint(
      { ...scratch.access, database: 'shop' },
      { hash: wanted?.hash ?? '', tables: null },
      { signal: AbortSignal.timeout(600_000), progress: () => {} },
    );
    expect(wanted?.tables.length).toBeGreaterThan(4);
    expect(restored.tables).toEqual(wanted?.tables);
    expect(restored.schemaSha256).toBe(wanted?.schemaSha256);
  } finally {
    await scratch.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
