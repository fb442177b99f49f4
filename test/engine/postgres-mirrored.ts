import { join } from 'node:path';
import { pino } from 'pino';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import { mirrorTool } from '../../src/activities/publish.ts';
import { describeDatabase } from '../../src/config/describe.ts';
import { withTopology } from '../../src/config/topology.ts';
import { listBackups } from '../../src/engines/postgres/backup.ts';
import { postgres } from '../../src/engines/postgres/postgres.ts';
import type { Topology } from '../../src/model/topology.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { NO_METRICS } from '../no-metrics.ts';
import { databaseText, exampleConfig } from '../unit/config/example.ts';
import { quietly, type Recovery } from './postgres-recovery-fixture.ts';

/** What activities are made from where a recovery's production is a database of the configuration. */
export function mirroredDependencies(recovery: Recovery, moved: Topology[] = []): Dependencies {
  const { directory, s3, production } = recovery;
  process.env.MIRRORED_KEY = s3.accessKeyId;
  process.env.MIRRORED_SECRET = s3.secretAccessKey;
  process.env.MIRRORED_CIPHER = recovery.repository.cipher ?? '';
  process.env.MIRRORED_PASSWORD = production.access.password ?? '';
  const config = exampleConfig({ databases: databaseText('shop') });
  config.repository = {
    ...config.repository,
    ...{ endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, pathStyle: true, caFile: s3.caFile },
    credentials: { accessKeyId: { env: 'MIRRORED_KEY' }, secretAccessKey: { env: 'MIRRORED_SECRET' } },
    cipher: { env: 'MIRRORED_CIPHER' },
  };
  const { host, port, user, database } = production.access;
  for (const shop of Object.values(config.databases)) {
    shop.connection = { host, port, user, database, password: { env: 'MIRRORED_PASSWORD' } };
  }
  return {
    config: { config: withTopology(config, moved), directory, path: join(directory, 'holdfast.yaml') },
    client: {} as Dependencies['client'],
    engines: { postgres },
    logger: pino({ enabled: false }),
    metrics: NO_METRICS,
    host: 'db1',
  };
}

/**
 * The repository of a recovery's production, with the manifests and the RESTORE.md of its backups: where the database
 * lives, which is where the configuration says unless `moved` says otherwise.
 */
export async function openMirrored(recovery: Recovery, moved: Topology[] = []): Promise<Repository> {
  const deps = mirroredDependencies(recovery, moved);
  const { config, directory } = deps.config;
  const { stanza } = describeDatabase(config, 'shop');
  const repository = await openRepository(config.repository, { use: 'backup', baseDirectory: directory });
  const askTool = () =>
    listBackups({ repository: recovery.repository, stanza, systemUser: 'postgres' }, quietly);
  const madeBy = { workflowId: 'w', runId: 'r' };
  await mirrorTool(deps, repository, { database: 'shop', stanza, madeBy }, askTool, quietly);
  return repository;
}
