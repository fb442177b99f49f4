import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Dependencies } from '../../src/activities/dependencies.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import { postgres } from '../../src/engines/postgres/postgres.ts';
import { NO_METRICS } from '../no-metrics.ts';
import { databaseText, exampleConfig } from '../unit/config/example.ts';
import type { Recovery } from './postgres-recovery-fixture.ts';

/** The configuration that names a recovery's server `shop`, and its repository; what its activities are made from. */
export async function shopOf(recovery: Recovery): Promise<{ loaded: LoadedConfig; deps: Dependencies }> {
  const { directory, s3, production } = recovery;
  process.env.SHOP_TEST_KEY = s3.accessKeyId;
  await writeFile(join(directory, 'secret'), s3.secretAccessKey, { mode: 0o600 });
  await writeFile(join(directory, 'password'), production.access.password ?? '', { mode: 0o600 });
  await writeFile(join(directory, 'cipher'), recovery.repository.cipher ?? '', { mode: 0o600 });
  const config = exampleConfig({ databases: databaseText('shop') });
  config.repository = {
    ...config.repository,
    ...{ endpoint: s3.endpoint, region: s3.region, bucket: s3.bucket, pathStyle: true, caFile: s3.caFile },
    credentials: { accessKeyId: { env: 'SHOP_TEST_KEY' }, secretAccessKey: { file: 'secret' } },
    cipher: { file: 'cipher' },
  };
  const shop = config.databases.shop as (typeof config.databases)[string];
  const { host, port, user, database } = production.access;
  shop.connection = { host, port, user, database, password: { file: 'password' } };
  shop.postgres = { dataDirectory: production.dataDirectory, systemUser: 'postgres' };
  const loaded: LoadedConfig = { config, directory, path: join(directory, 'holdfast.yaml') };
  const deps: Dependencies = {
    config: loaded,
    client: {} as Dependencies['client'],
    engines: { postgres },
    logger: pino({ enabled: false }),
    metrics: NO_METRICS,
    host: 'db1',
  };
  return { loaded, deps };
}
