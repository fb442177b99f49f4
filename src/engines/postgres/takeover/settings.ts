import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { TakeOverInput } from '../../contract/restore.ts';
import { type InstanceParameters, raise } from '../control-data.ts';
import { layoutOf } from '../place.ts';
import { quoteList, settingLines, shellWord } from '../settings.ts';

const MEGABYTE = 1024 ** 2;
const SHARED_BUFFERS_LIMIT = 8 * 1024 * MEGABYTE;

/** What only root and the server's user can reach: nobody else may enter the folder of the socket. */
export const CLOSED_HBA = '# the socket folder admits its owner only\nlocal all all trust\n';

/**
 * The whole configuration of a server that becomes production. The old server's own is not taken over: it names that
 * one's addresses and files. `parameters` are what its recovery needs at least.
 */
export function renderProductionSettings(input: TakeOverInput, parameters: InstanceParameters): string {
  const { place, serverMajor, server } = input;
  const { configuration, sockets } = layoutOf(place);
  const file = (name: string) => join(configuration, name);
  const { listen, port, tls, settings } = server;
  const values: Record<string, string | number | boolean> = {
    shared_buffers: `${sharedBuffers() / MEGABYTE}MB`,
    // What is restored takes no changes from subscriptions: the old server may still take them.
    max_logical_replication_workers: 0,
    log_line_prefix: '%m [%p] ',
    // The log of its start is read.
    lc_messages: 'C',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...settings,
    ...raise(parameters, numbersOf(settings)),

    listen_addresses: listen,
    port,
    unix_socket_directories: quoteList(sockets),
    unix_socket_permissions: '0700',
    hba_file: file('pg_hba.conf'),
    ident_file: file('pg_ident.conf'),
    ...(tls === null
      ? { ssl: false }
      : { ssl: true, ssl_cert_file: tls.certFile, ssl_key_file: tls.keyFile }),

    archive_mode: true,
    archive_command: archiveCommand(input),
    ...(serverMajor >= 15 ? { archive_library: '' } : {}),
    primary_conninfo: '',
    primary_slot_name: '',
    hot_standby: true,
    fsync: true,
    full_page_writes: true,
  };
  return `# written by Holdfast: the server that took the database over. What Holdfast needs stands last.\n${settingLines(values)}`;
}

/** The usual quarter of the memory, within bounds: other servers may be on the host. */
function sharedBuffers(): number {
  const quarter = Math.floor(totalmem() / 4 / MEGABYTE) * MEGABYTE;
  return Math.max(128 * MEGABYTE, Math.min(quarter, SHARED_BUFFERS_LIMIT));
}

export function pgbackrestFile({ place }: Pick<TakeOverInput, 'place'>): string {
  return join(layoutOf(place).configuration, 'pgbackrest.conf');
}

function archiveCommand(input: TakeOverInput): string {
  const [file, stanza] = [pgbackrestFile(input), input.stanza].map((word) =>
    shellWord(word).replaceAll('%', '%%'),
  );
  return `pgbackrest --config=${file} --stanza=${stanza} archive-push %p`;
}

/** Lower ones than the recovery needs would keep it from starting. */
function numbersOf(settings: TakeOverInput['server']['settings']): Partial<InstanceParameters> {
  return Object.fromEntries(
    Object.entries(settings)
      .map(([name, value]) => [name.toLowerCase(), Number(value)] as const)
      .filter(([, value]) => Number.isInteger(value)),
  );
}
