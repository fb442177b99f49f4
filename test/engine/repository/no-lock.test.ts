import { CreateBucketCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dependencies } from '../../../src/activities/dependencies.ts';
import { mirrorTool } from '../../../src/activities/publish.ts';
import type { PhysicalBackup } from '../../../src/engines/contract/backup.ts';
import { postgres } from '../../../src/engines/postgres/postgres.ts';
import { toolBackupFolder } from '../../../src/repository/layout.ts';
import { readManifest } from '../../../src/repository/manifests.ts';
import { openRepository, type Repository } from '../../../src/repository/repository.ts';
import { NO_METRICS } from '../../no-metrics.ts';
import { exampleConfig } from '../../unit/config/example.ts';
import { base } from '../../unit/repository/recoverability.ts';
import { type RepositoryFixture, startRepository } from './fixture.ts';

const run = { signal: new AbortController().signal, progress: () => {} };
const Bucket = 'without-object-lock';

let fixture: RepositoryFixture;
let repository: Repository;
beforeAll(async () => {
  fixture = await startRepository();
  const first = await fixture.open();
  await first.connection.request((s3) => s3.send(new CreateBucketCommand({ Bucket })));
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await first.connection.request((s3) =>
    s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration })),
  );
  first.close();
  const config = { ...fixture.config, bucket: Bucket };
  repository = await openRepository(config, { use: 'backup', baseDirectory: fixture.directory });
});
afterAll(async () => {
  repository?.close();
  await fixture?.dispose();
});

test('a physical backup that the bucket cannot lock is there all the same, and says so', async () => {
  const now = new Date();
  const { positions } = base('one', 1, 12_000);
  const known: PhysicalBackup = {
    ...{ id: 'one', kind: 'full', startedAt: now.toISOString(), finishedAt: now.toISOString() },
    ...{ dependsOn: [], positions, sizeBytes: 1, databaseBytes: 1, serverMajor: 15 },
    ...{ toolVersion: '2.50', systemIdentifier: '1', error: false },
  };
  await repository.put(`${toolBackupFolder('shop')}one/backup.manifest`, 'what the tool left');
  const config = { ...exampleConfig(), repository: { ...fixture.config, bucket: Bucket } };
  const deps: Dependencies = {
    config: { config, directory: fixture.directory, path: 'holdfast.yaml' },
    client: {} as Dependencies['client'],
    engines: { postgres: { ...postgres, listRelations: async () => ({ relations: [], refused: [] }) } },
    ...{ logger: pino({ enabled: false }), metrics: NO_METRICS, host: 'db1' },
  };
  const madeBy = { workflowId: 'w', runId: 'r' };
  await mirrorTool(deps, repository, { database: 'shop', stanza: 'shop', madeBy }, async () => [known], run);
  expect(await readManifest(repository, 'shop', 'one')).toMatchObject({
    lockedUntil: null,
    notices: [expect.stringContaining('its objects could not be locked: ')],
  });
});
