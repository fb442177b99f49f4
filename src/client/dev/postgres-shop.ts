import { dirname, join } from 'node:path';
import pg from 'pg';
import { postgres as engine } from '../../engines/postgres/postgres.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Topology } from '../../model/topology.ts';
import { toolRepository } from '../../repository/tool.ts';
import { repositoryConfig } from './bucket.ts';
import { DATABASE, layoutOf, makeSecretsDirectory, SECOND } from './configuration.ts';
import { shortSocketFolder } from './owned-folder.ts';
import { runningPid, startPostgres, stopPostgres } from './postgres.ts';
import { createSample } from './postgres-sample.ts';
import { type Shop, secretIn } from './shop.ts';

const MAJOR = 15;
export const SYSTEM_USER = 'postgres';

/** A PostgreSQL server that archives through pgBackRest. */
export const postgresShop: Shop = {
  async start({ directory, port }, s3, signal) {
    const { postgres, secrets } = layoutOf(directory);
    await makeSecretsDirectory(directory);
    // Made up the first time.
    await secretIn(secrets.cipher);
    const repository = await toolRepository(repositoryConfig(directory, s3), {
      use: 'backup',
      baseDirectory: directory,
    });
    const { pid, url } = await startPostgres({
      directory: postgres,
      port,
      major: MAJOR,
      systemUser: SYSTEM_USER,
      archive: { repository, stanza: DATABASE },
      password: await secretIn(secrets.password),
      database: DATABASE,
      extensions: ['amcheck'],
      signal,
    });
    return { pid, url, applicationUrl: url };
  },

  stop: async (directory) => {
    const dataDirectory = layoutOf(directory).postgresData;
    await stopPostgres({ dataDirectory, major: MAJOR, systemUser: SYSTEM_USER });
  },

  pid: (directory) => runningPid(layoutOf(directory).postgresData),

  fill: (url, { orders }) => withClient(url, (client) => createSample(client, { orders })),

  // Where it was set up: how it lives at a site that took it over is said by the repository.
  section: async ({ directory, port }, second) => {
    const { postgres, postgresData, secrets, endpoint } = layoutOf(directory);
    return {
      engine: 'postgres',
      connection: {
        ...{ host: '127.0.0.1', port, user: 'postgres' },
        ...{ password: { file: secrets.password }, database: DATABASE, tls: 'off' },
      },
      postgres: {
        stanza: DATABASE,
        dataDirectory: postgresData,
        socketDirectory: await shortSocketFolder(postgres, SYSTEM_USER),
        log: join(postgres, 'server.log'),
        systemUser: SYSTEM_USER,
      },
      ...(second !== null && {
        takeover: {
          [SECOND]: {
            ...{ address: '127.0.0.1', port: second.takeoverPort },
            hba: ['host all all 127.0.0.1/32 scram-sha-256'],
          },
        },
        endpoints: [{ file: { path: endpoint, url: 'DATABASE_URL' } }],
      }),
    };
  },

  firstBackups: ['full', 'logical'],
};

/** Starts the server that took the database over, where it does not run. Throws InstanceLost, ToolFailed. */
export async function startTakenOver(
  { dataDirectory, systemUser }: Topology,
  signal: AbortSignal,
): Promise<number> {
  const place = { directory: dirname(dataDirectory), user: systemUser };
  await engine.ensureRunning(place, { signal, progress: () => {} });
  const pid = await runningPid(dataDirectory);
  if (pid !== null) return pid;
  throw new HoldfastError('ToolFailed', `the server in ${dataDirectory} ended right after its start`, {
    hint: `see its newest log in ${place.directory}/log`,
  });
}

/** Runs statements on a connection of their own. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'holdfast dev' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
