import { resolve } from 'node:path';
import type { Run } from '../model/progress.ts';
import { type Address, formatAddress } from '../model/topology.ts';
import { requirePlain, sameAddress } from './address.ts';
import type { Unnamed } from './endpoint.ts';
import { endpointFailed } from './failure.ts';
import { type Ask, atConsole, type PgbouncerConfig, quoteName } from './pgbouncer-console.ts';
import { rewriteIni } from './pgbouncer-ini.ts';
import { readBytes, replaceFile } from './replace-file.ts';

/**
 * PgBouncer: an entry of its ini, and the process that runs. What is set is what the running one says; the file
 * counts only once it has read it.
 */
export function pgbouncer(config: PgbouncerConfig, directory: string): Unnamed {
  const { database, admin } = config;
  const ini = resolve(directory, config.ini);
  const missing = (where: string) =>
    endpointFailed(
      `${where} has no entry ${database}`,
      'correct `database` of the endpoint, or write the entry into section [databases] of that file itself (an included file is not changed)',
    );

  const current = async (ask: Ask): Promise<{ address: Address; paused: boolean }> => {
    const row = (await ask('SHOW DATABASES')).find((each) => each.name === database);
    if (row === undefined) throw missing(`PgBouncer at ${formatAddress(admin)}`);
    const host = row.host === null ? await socketFolder(ask) : String(row.host);
    return { address: { host, port: Number(row.port) }, paused: Number(row.paused) === 1 };
  };

  /**
   * A client that waits for a dead server would keep its session, and a server that refused the last session would keep
   * the new one from being tried for `server_login_retry` (15 s): so the entry's clients and servers are dropped, and
   * what PgBouncer knows of them with them.
   */
  const take = async (ask: Ask, address: Address, written: boolean) => {
    const changes = written || !sameAddress((await current(ask)).address, address);
    if (changes) await ask('RELOAD');
    const now = await current(ask);
    if (!sameAddress(now.address, address)) {
      throw endpointFailed(
        `PgBouncer still leads ${database} to ${formatAddress(now.address)} after it read ${ini} again`,
        'its log says why: another file may be the one that it reads, a later entry may win, or the file may have an error',
      );
    }
    if (changes || (await holdsOldSessions(ask, database))) await ask(`KILL ${quoteName(database)}`);
    // Also what an attempt left that was killed after its KILL.
    if ((await current(ask)).paused) await ask(`RESUME ${quoteName(database)}`);
  };

  return {
    pooler: { host: admin.host, port: admin.port, database },
    read: (run) => atConsole(config, directory, run.signal, async (ask) => (await current(ask)).address),
    async write(address, run: Run) {
      requirePlain(address);
      const text = await readBytes(ini);
      const edited = rewriteIni(text, database, address);
      if (edited === null) throw missing(ini);
      // A console that is away is found out before the file is changed.
      await atConsole(config, directory, run.signal, async (ask) => {
        await current(ask);
        if (edited !== text) await replaceFile(ini, edited);
        await take(ask, address, edited !== text);
      });
    },
  };
}

/** Where PgBouncer looks for a server of an entry without a host. */
async function socketFolder(ask: Ask): Promise<string> {
  const row = (await ask('SHOW CONFIG')).find((each) => each.key === 'unix_socket_dir');
  return String(row?.value ?? '/tmp');
}

/** Whether clients still hold sessions that were to end when PgBouncer read its file again. */
async function holdsOldSessions(ask: Ask, database: string): Promise<boolean> {
  return (await ask('SHOW SERVERS')).some(
    (row) => row.database === database && Number(row.close_needed) === 1 && row.state === 'active',
  );
}
