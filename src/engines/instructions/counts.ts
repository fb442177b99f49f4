import type { TableFingerprint } from '../../model/backup.ts';

/** Tables that RESTORE.md counts; more would make it unreadable on the night it is needed. */
const COUNTED_TABLES = 200;

/** Lines that give a client `select` of each table: what was counted in the dump's snapshot beside what is there. */
export function countLines(
  client: string,
  tables: readonly TableFingerprint[],
  select: (table: TableFingerprint) => string,
): string[] {
  return [
    `${client} <<'END_OF_SQL'`,
    `${tables.slice(0, COUNTED_TABLES).map(select).join('\nUNION ALL ')};`,
    'END_OF_SQL',
    ...(tables.length > COUNTED_TABLES
      ? [`# and ${tables.length - COUNTED_TABLES} more: see the manifest`]
      : []),
  ];
}
