import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { createThawingActivities, withArchived } from '../../../src/activities/thawing.ts';
import { loopbackCertificate } from '../../../src/client/dev/s3-certificate.ts';
import type { RepositoryConfig } from '../../../src/config/schema.ts';
import type { ToolRepository } from '../../../src/engines/contract/backup.ts';
import { replay } from '../../../src/engines/postgres/replay.ts';
import { restore } from '../../../src/engines/postgres/restore.ts';
import { type Archived, archivedNotice } from '../../../src/model/archive.ts';
import type { Manifest } from '../../../src/model/backup.ts';
import { manifestKey, toolBackupFolder } from '../../../src/repository/layout.ts';
import { neededBy } from '../../../src/repository/needed.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { archivedOf } from '../../../src/repository/thaw.ts';
import { ENGINES } from '../../../src/workers/engines.ts';
import { type Moto, startMoto } from '../../moto.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { base } from '../../unit/repository/recoverability.ts';
import { fakeBase } from '../../workflow/fakes.ts';
import {
  quietly,
  type Recovery,
  replayInput,
  restoreInput,
  STANZA,
  startRecovery,
} from '../postgres-recovery-fixture.ts';

// Real backups and logs, laid into a store that has storage classes: there all of them are in GLACIER.
let recovery: Recovery;
let moto: Moto;
let glacier: Repository;
/** the same store, as pgBackRest reads it */
let tool: ToolRepository;
let backup: string;
let older: string;
let manifest: Manifest;
let lastLog: string;
/** in the last log that is needed for it; the server reads on into the one after it */
let lsn: string;

beforeAll(async () => {
  recovery = await startRecovery();
  await recovery.sql('CREATE TABLE public.orders (id int PRIMARY KEY)');
  older = await recovery.backup();
  await recovery.archive();
  backup = await recovery.backup();
  await recovery.sql('INSERT INTO public.orders SELECT generate_series(1, 100)');
  lsn = await recovery.value('SELECT pg_current_wal_insert_lsn()');
  lastLog = await recovery.archive();
  await recovery.sql('INSERT INTO public.orders VALUES (101)');
  await recovery.archive();

  const { caFile, certsDirectory } = await loopbackCertificate(join(recovery.directory, 'moto'));
  moto = await startMoto({ certsDirectory });
  const { s3 } = recovery;
  Object.assign(process.env, { THAW_TEST_ID: s3.accessKeyId, THAW_TEST_KEY: s3.secretAccessKey });
  const source = await open({ endpoint: s3.endpoint, caFile: s3.caFile });
  glacier = await open({ endpoint: moto.endpoint, caFile });
  await glacier.connection.request((client) => client.send(new CreateBucketCommand({ Bucket: 'backups' })));
  const own = toolBackupFolder(STANZA);
  const logs: string[] = [];
  for await (const object of source.list('')) {
    await copy(source, object);
    const log = new RegExp(`^${own}${backup}/pg_data/pg_wal/([0-9A-F]{24})`).exec(object.key);
    if (log !== null) logs.push(log[1] as string);
  }
  source.close();
  tool = { ...recovery.readOnly, endpoint: new URL(moto.endpoint).host, caFile };
  const positions = { timeline: 1, start: null, stop: null, startLog: logs.sort()[0] ?? null, stopLog: null };
  manifest = base(backup, 0, 0, { positions });
  await glacier.put(manifestKey('shop', backup), JSON.stringify(manifest));
});
afterAll(async () => {
  glacier?.close();
  await moto?.end();
  await recovery?.end();
});

const settings = (place: { endpoint: string; caFile: string }): RepositoryConfig => ({
  ...{ region: 'eu-west-1', bucket: 'backups', prefix: '', pathStyle: true, ...place },
  credentials: { accessKeyId: { env: 'THAW_TEST_ID' }, secretAccessKey: { env: 'THAW_TEST_KEY' } },
});

const open = (place: { endpoint: string; caFile: string }) =>
  openRepository(settings(place), { use: 'backup', baseDirectory: recovery.directory });

async function copy(source: Repository, { key, sizeBytes }: { key: string; sizeBytes: number }) {
  const parts: Buffer[] = [];
  for await (const part of source.stream({ key, versionId: null, sizeBytes })) parts.push(part as Buffer);
  const object = {
    Bucket: 'backups',
    Key: key,
    Body: Buffer.concat(parts),
    StorageClass: 'GLACIER',
  } as const;
  await glacier.connection.request((client) => client.send(new PutObjectCommand(object)));
}

/** How moto brings objects back: at once where there is no `transition`, else after so many looks at each. */
async function setTransition(transition: object | null): Promise<void> {
  const what = transition === null ? 'unset' : 'set';
  const ca = await readFile(tool.caFile as string);
  await new Promise<void>((resolve, reject) => {
    const url = `${moto.endpoint}/moto-api/state-manager/${what}-transition`;
    const post = request(
      url,
      { method: 'POST', ca, headers: { 'content-type': 'application/json' } },
      (answer) => {
        answer.resume();
        answer.on('end', resolve);
      },
    );
    post.on('error', reject);
    post.end(JSON.stringify({ model_name: 's3::keyrestore', transition }));
  });
}

async function recover(id: string) {
  const place = await recovery.provision(id);
  const repository = { repository: tool };
  await restore({ ...restoreInput(recovery, place, backup), ...repository }, quietly);
  return replay(replayInput(recovery, place, { lsn }, { ...repository, lastLog }), quietly);
}

test('what a base and its logs need is asked for, comes back, and is enough to recover', async () => {
  const repository = settings({ endpoint: moto.endpoint, caFile: tool.caFile as string });
  const config = { config: { ...exampleConfig(), repository }, path: '', directory: recovery.directory };
  const deps = {
    ...{ config, engines: ENGINES, host: 'control' },
    client: {},
    logger: {},
  } as unknown as Dependencies;
  const { requestThaw } = createThawingActivities(deps);
  const chosen = { ...fakeBase(null), backup, stanza: STANZA, lastLog };
  const look = () => withArchived(deps, { database: 'shop', manifest, base: chosen }, quietly);
  const ask = () => new MockActivityEnvironment().run(requestThaw, { database: 'shop', base: chosen });

  const found = await look();
  expect(found.archived).toMatchObject({ storageClass: 'GLACIER', hours: 5 });
  expect(found.notices).toEqual([archivedNotice(found.archived as Archived, 'Standard')]);
  await expect(recover('archived')).rejects.toThrow('refused pgBackRest (InvalidObjectState)');

  await setTransition({ progression: 'manual', times: 1 });
  const left = found.archived?.objects;
  expect(await ask()).toEqual({ left });
  expect(await ask()).toEqual({ left });
  await setTransition({ progression: 'manual', times: 1_000_000 });
  expect(await look()).toEqual(found);
  await setTransition(null);
  expect(await ask()).toEqual({ left: 0 });
  expect(await look()).toEqual(chosen);

  const { access } = await recover('thawed');
  expect(await recovery.value('SELECT count(*) FROM public.orders', access)).toBe('100');
  // Nothing else was asked for, which would cost money.
  const others = neededBy({ ...manifest, id: older }, { stanza: STANZA, timeline: 1, lastLog: null });
  expect((await archivedOf(glacier, others, 'Standard', quietly))?.objects).toBeGreaterThan(3);
});
