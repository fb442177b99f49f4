import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnection } from '@temporalio/worker';
import type { LoadedConfig } from '../config/load.ts';
import { HoldfastError } from '../model/failure.ts';

const DEFAULT_ADDRESS = '127.0.0.1:7233';
const DEFAULT_NAMESPACE = 'default';

/** Where Temporal is, for messages and links. */
export interface TemporalPlace {
  address: string;
  namespace: string;
}
export interface TemporalClient extends TemporalPlace {
  client: Client;
  close(): Promise<void>;
}
export interface TemporalWorkerConnection extends TemporalPlace {
  connection: NativeConnection;
}

/**
 * A client on the Temporal server of the configuration: its own `temporal.configFile` and `profile` where they
 * are set, else Temporal's (TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE); variables such as TEMPORAL_ADDRESS and
 * TEMPORAL_API_KEY override either. Throws ConnectionFailed where nothing answers, InvalidConfiguration.
 */
export async function connectTemporal(config: LoadedConfig): Promise<TemporalClient> {
  const { connectionOptions, address, namespace } = loadOptions(config);
  const connection = await attempt({ address, namespace }, () => Connection.connect(connectionOptions));
  const client = new Client({ connection, namespace });
  return { client, address, namespace, close: () => connection.close() };
}

/** The same for a worker. Install the `Runtime` before. */
export async function connectWorker(config: LoadedConfig): Promise<TemporalWorkerConnection> {
  // Loaded here, because it brings the native core: commands have to be quick.
  const { NativeConnection } = await import('@temporalio/worker');
  const { connectionOptions, address, namespace } = loadOptions(config);
  const connection = await attempt({ address, namespace }, () => NativeConnection.connect(connectionOptions));
  return { connection, address, namespace };
}

/** Where the configuration says that Temporal is, without connecting. */
export function temporalPlace(config: LoadedConfig): TemporalPlace {
  const { address, namespace } = loadOptions(config);
  return { address, namespace };
}

function loadOptions({ config, directory }: LoadedConfig) {
  const { configFile, profile } = config.temporal;
  const path = configFile === undefined ? null : resolve(directory, configFile);
  try {
    const loaded = loadClientConnectConfig({
      ...(profile === undefined ? {} : { profile }),
      // Read here: the library takes a file that is not there for an empty one, and goes to localhost.
      ...(path === null ? {} : { configSource: { data: readFileSync(path) } }),
    });
    const address = loaded.connectionOptions.address ?? DEFAULT_ADDRESS;
    return {
      address,
      namespace: loaded.namespace ?? DEFAULT_NAMESPACE,
      connectionOptions: { ...loaded.connectionOptions, address },
    };
  } catch (error) {
    const where = path === null ? "Temporal's client configuration" : `temporal.configFile ${path}`;
    throw new HoldfastError('InvalidConfiguration', `${where} cannot be used: ${messageOf(error)}`, {
      hint: 'correct temporal.configFile and temporal.profile in the configuration, or the TEMPORAL_* variables',
    });
  }
}

async function attempt<T>(place: TemporalPlace, connect: () => Promise<T>): Promise<T> {
  try {
    return await connect();
  } catch (error) {
    throw new HoldfastError('ConnectionFailed', `temporal server at ${place.address} does not answer`, {
      hint: 'start it (`holdfast dev up` has one), or correct its address: temporal.configFile, TEMPORAL_ADDRESS',
      cause: error,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
