import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../model/attribute.ts';
import { startDetached, waitUntilReady } from './detached.ts';
import { freePort } from './ports.ts';
import { kill } from './process.ts';

export interface TemporalServer {
  pid: number;
  /** `127.0.0.1:7233` */
  address: string;
  namespace: string;
  /** where its UI is */
  ui: string;
  port: number;
  uiPort: number;
  log: string;
}

/**
 * Starts a Temporal dev server whose state is a SQLite file in `directory`, detached, and waits until it answers.
 * Port 0 takes a free one. Throws `ToolMissing`, `ToolFailed`.
 */
export async function startTemporal(options: {
  directory: string;
  port: number;
  uiPort: number;
  signal?: AbortSignal;
}): Promise<TemporalServer> {
  // Its file holds every history: not for the user of restored servers.
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const port = options.port === 0 ? await freePort() : options.port;
  const uiPort = options.uiPort === 0 ? await freePort() : options.uiPort;
  const log = join(options.directory, 'temporal.log');
  const pid = await startDetached({
    file: 'temporal',
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
      ...['--db-filename', join(options.directory, 'temporal.db'), '--log-level', 'error'],
      // A sync for each commit makes a busy disk lose tasks: the server gives up on one after a second. With WAL
      // only a power cut can lose the last commits.
      ...['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
      ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
    ],
    directory: options.directory,
    log,
  });
  const address = `127.0.0.1:${port}`;
  await waitUntilReady('the Temporal server', { pid, log }, () => isServing(address, 'default'), {
    signal: options.signal,
  }).catch((error) => {
    kill(pid, 'SIGKILL');
    throw error;
  });
  return { pid, address, namespace: 'default', ui: `http://127.0.0.1:${uiPort}`, port, uiPort, log };
}

/** Whether a Temporal server at this address has the namespace and Holdfast's search attributes. */
export async function isServing(address: string, namespace: string): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: '1s' }).catch(() => null);
  if (connection === null) return false;
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return Object.values(SEARCH_ATTRIBUTES).every((name) => name in customAttributes);
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}
