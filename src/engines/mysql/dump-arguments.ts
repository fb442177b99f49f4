import type { Flavour } from './flavour.ts';

/**
 * The arguments of mysqldump or mariadb-dump, which differ by whose program it is, not by the server.
 *
 * The position is not asked for (`--source-data`): MySQL's would take a lock of its own beside ours, and one that is
 * newer than the server asks in words that the server does not know (measured: 9.7 at 8.0).
 */
export function dumpArguments(program: Flavour, databases: readonly string[]): string[] {
  return [
    ...['--single-transaction', '--quick', '--routines', '--events', '--triggers', '--hex-blob', '--tz-utc'],
    ...['--default-character-set=utf8mb4', '--no-tablespaces', '--skip-add-locks', '--skip-disable-keys'],
    // What a row may have at most; the answer of a server is not longer.
    '--max-allowed-packet=1G',
    // It says what it is at, and from that when its transaction has begun.
    '--verbose',
    ...(program === 'mysql' ? ['--set-gtid-purged=OFF', '--column-statistics=0'] : []),
    ...['--databases', '--', ...databases],
  ];
}
