import type { DumpedDatabase, Manifest } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { whatIs } from './choice-refusals.ts';

export interface LogicalChoice {
  manifest: Manifest;
  /** the dump of the connected db in it */
  dumped: DumpedDatabase;
}

/**
 * The logical backup to restore tables of: the newest, or the one that is named, also a snapshot of one. Throws UnknownBackup where there is
 * none, or none of this db; InvalidInput where the named one is of another tier.
 */
export function chooseLogical(
  manifests: readonly Manifest[],
  wanted: { database: string; db: string; backup: string | null },
): LogicalChoice {
  const { database, db, backup } = wanted;
  const logical = manifests
    .filter(({ tier }) => tier === 'logical')
    .toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt));
  const named = backup === null ? logical[0] : manifests.find(({ id }) => id === backup);
  if (named === undefined) throw noBackup(database, backup, { manifests, logical });
  if ((named.copyOf ?? named).tier !== 'logical') {
    throw new HoldfastError('InvalidInput', `backup ${named.id} is ${whatIs(named)}, not logical`, {
      hint: `tables come out of it by a recovery: holdfast restore pitr ${database} --backup ${named.id} --table …`,
    });
  }
  const dumped = named.databases.find(({ name }) => name === db);
  if (dumped !== undefined) return { manifest: named, dumped };
  throw new HoldfastError('UnknownBackup', `backup ${named.id} holds no db "${db}"`, {
    hint: `it holds ${named.databases.map(({ name }) => name).join(', ')}: see connection.database in the configuration`,
  });
}

function noBackup(
  database: string,
  backup: string | null,
  { manifests, logical }: { manifests: readonly Manifest[]; logical: readonly Manifest[] },
): HoldfastError {
  const snapshot = manifests.find(({ copyOf }) => copyOf?.tier === 'logical');
  if (logical.length === 0 && snapshot !== undefined) {
    return new HoldfastError('UnknownBackup', `there is no logical backup of ${database}`, {
      hint: `there is a snapshot of one: --backup ${snapshot.id}`,
    });
  }
  if (logical.length === 0) {
    return new HoldfastError('UnknownBackup', `there is no logical backup of ${database}`, {
      hint: `take one: holdfast backup ${database} --tier logical; or recover from the physical ones: holdfast restore pitr`,
    });
  }
  const newest = logical.slice(0, 3).map(({ id }) => id);
  return new HoldfastError('UnknownBackup', `there is no backup ${backup}`, {
    hint: `the newest logical ones are ${newest.join(', ')}; see holdfast catalog ${database}`,
  });
}

/** Rows of a table may be wider than the db's on average by this much before its share of the disk is too small. */
const WIDER = 4;

/**
 * Disk that the rows of these tables may need, in bytes: nobody has kept the size of each table, so that it is their
 * share of all rows, generously. Partitions count by their own names, which are not known yet: the whole db then.
 */
export function bytesOfTables(manifest: Manifest, dumped: DumpedDatabase, tables: string[] | null): number {
  const counted = dumped.fingerprints?.tables ?? [];
  const named = counted.filter(({ table }) => tables?.includes(table) === true);
  if (tables === null || named.length < tables.length) return manifest.databaseBytes;
  const sum = (some: typeof counted) => some.reduce((rows, table) => rows + table.rows, 0);
  const share = sum(named) / Math.max(1, sum(counted));
  return Math.ceil(manifest.databaseBytes * Math.min(1, share * WIDER));
}
