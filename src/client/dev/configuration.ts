import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { DatabaseConfig } from '../../config/schema.ts';
import type { S3Facts, S3Server } from './s3.ts';
import { type WorkerName, writePrivate } from './state.ts';

/** The one database of the development environment, and the host and the site where it is set up. */
export const DATABASE = 'shop';
export const HOST = 'local';
export const SITE = 'local';
/** The site, and its host, that takes the database over when the first is lost. */
export const SECOND = 'second';

/** Everything that the configuration of the development environment depends on. */
export interface Facts {
  directory: string;
  temporal: { address: string; namespace: string; ui: string };
  s3: Pick<S3Facts, 'endpoint' | 'region' | 'bucket' | 'caFile' | 'kmsKeyId'>;
  shop: ShopSection;
  /** it has the second site */
  second: boolean;
}

/** What the configuration says of the sample database, by its engine; as it is before the schema's defaults. */
export interface ShopSection extends Pick<DatabaseConfig, 'engine' | 'connection'> {
  /** whether a site can take it over is the engine's matter */
  takeover?: Record<string, object>;
  [field: string]: unknown;
}

const HEADER = `# Written by \`holdfast dev up\`, and again at each start: edits are lost.
# To change something, copy this file and start with \`holdfast dev up --config FILE\`.
`;

/** Where the parts of the environment keep what; all paths are absolute. */
export function layoutOf(directory: string) {
  const secret = (name: string) => join(directory, 'secrets', name);
  return {
    config: join(directory, 'holdfast.yaml'),
    temporalConfig: join(directory, 'temporal.toml'),
    instances: join(directory, 'instances'),
    temporal: join(directory, 'temporal'),
    s3: join(directory, 's3'),
    postgres: join(directory, 'postgres'),
    postgresData: join(directory, 'postgres', 'data'),
    mysql: join(directory, 'mysql'),
    mysqlData: join(directory, 'mysql', 'data'),
    pgbackrestConfig: join(directory, 'postgres', 'pgbackrest.conf'),
    /** what applications read to find the database */
    endpoint: join(directory, `${DATABASE}.env`),
    second: {
      directory: join(directory, SECOND),
      instances: join(directory, SECOND, 'instances'),
      production: join(directory, SECOND, 'production'),
    },
    workers: {
      worker: { log: join(directory, 'worker.log'), temporary: join(directory, 'tmp') },
      second: { log: join(directory, SECOND, 'worker.log'), temporary: join(directory, SECOND, 'tmp') },
    } satisfies Record<WorkerName, unknown>,
    secrets: {
      accessKeyId: secret('s3-access-key-id'),
      secretAccessKey: secret('s3-secret-access-key'),
      sessionToken: secret('s3-session-token'),
      adminAccessKeyId: secret('s3-admin-access-key-id'),
      adminSecretAccessKey: secret('s3-admin-secret-access-key'),
      restoreAccessKeyId: secret('s3-restore-access-key-id'),
      restoreSecretAccessKey: secret('s3-restore-secret-access-key'),
      restoreSessionToken: secret('s3-restore-session-token'),
      cipher: secret('pgbackrest-cipher'),
      password: secret('shop-password'),
      applicationPassword: secret('shop-application-password'),
    },
  };
}

/** Writes `holdfast.yaml` and `temporal.toml`. Secrets are only named in them. */
export async function writeConfiguration(facts: Facts): Promise<void> {
  const layout = layoutOf(facts.directory);
  const second = facts.second ? Object.values(layout.second) : [];
  for (const folder of [layout.instances, ...second]) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
  }
  await writeFile(layout.config, HEADER + stringify(configurationOf(facts), { lineWidth: 0 }));
  await writeFile(
    layout.temporalConfig,
    `[profile.default]\naddress = "${facts.temporal.address}"\nnamespace = "${facts.temporal.namespace}"\n`,
  );
}

/** The server's own are the admin's; backups and restores have less. */
export async function writeS3Secrets(
  directory: string,
  s3: Pick<S3Server, 'accessKeyId' | 'secretAccessKey' | 'writerCredentials' | 'restoreCredentials'>,
): Promise<void> {
  const { secrets } = layoutOf(directory);
  await makeSecretsDirectory(directory);
  await writePrivate(secrets.adminAccessKeyId, s3.accessKeyId);
  await writePrivate(secrets.adminSecretAccessKey, s3.secretAccessKey);
  await writePrivate(secrets.accessKeyId, s3.writerCredentials.accessKeyId);
  await writePrivate(secrets.secretAccessKey, s3.writerCredentials.secretAccessKey);
  await writePrivate(secrets.sessionToken, s3.writerCredentials.sessionToken);
  await writePrivate(secrets.restoreAccessKeyId, s3.restoreCredentials.accessKeyId);
  await writePrivate(secrets.restoreSecretAccessKey, s3.restoreCredentials.secretAccessKey);
  await writePrivate(secrets.restoreSessionToken, s3.restoreCredentials.sessionToken);
}

export async function makeSecretsDirectory(directory: string): Promise<void> {
  await mkdir(join(directory, 'secrets'), { recursive: true, mode: 0o700 });
}

/** The configuration as it is before the schema's defaults. */
export function configurationOf({
  directory,
  temporal,
  s3,
  shop: { engine, ...shop },
  second,
}: Facts): unknown {
  const layout = layoutOf(directory);
  const alone = { people: 1, requesterMayApprove: true };
  return {
    version: 1,
    temporal: { profile: 'default', configFile: layout.temporalConfig, ui: temporal.ui },
    repository: repositoryOf(directory, s3),
    hosts: { [HOST]: {}, ...(second && { [SECOND]: {} }) },
    sites: {
      [SITE]: { hosts: [HOST], directory: layout.instances, user: 'holdfast-restore' },
      ...(second && {
        [SECOND]: {
          hosts: [SECOND],
          directory: layout.second.instances,
          production: layout.second.production,
          user: 'holdfast-second',
        },
      }),
    },
    approval: { import: alone, ...(second && { disaster: alone }) },
    databases: {
      [DATABASE]: { engine, objectives: { rpo: '5m', rto: '30m' }, host: HOST, ...shop },
    },
  };
}

/** Its section `repository`. */
export function repositoryOf(directory: string, s3: Facts['s3']) {
  const { secrets } = layoutOf(directory);
  return {
    endpoint: s3.endpoint,
    region: s3.region,
    bucket: s3.bucket,
    pathStyle: true,
    caFile: s3.caFile,
    credentials: {
      accessKeyId: { file: secrets.accessKeyId },
      secretAccessKey: { file: secrets.secretAccessKey },
      sessionToken: { file: secrets.sessionToken },
    },
    restoreCredentials: {
      accessKeyId: { file: secrets.restoreAccessKeyId },
      secretAccessKey: { file: secrets.restoreSecretAccessKey },
      sessionToken: { file: secrets.restoreSessionToken },
    },
    adminCredentials: {
      accessKeyId: { file: secrets.adminAccessKeyId },
      secretAccessKey: { file: secrets.adminSecretAccessKey },
    },
    kmsKeyId: s3.kmsKeyId,
    cipher: { file: secrets.cipher },
    lock: { mode: 'COMPLIANCE' },
  };
}
