import { randomBytes } from 'node:crypto';
import { formatNameParts, parseNameParts } from '../../../model/table.ts';
import type { ImportJournal, ImportRecord, ImportResult } from '../../contract/change.ts';
import type { Connection } from '../connection.ts';
import { refusalOf } from '../error.ts';
import { quoteTable } from '../identifier.ts';

const NO_SUCH_TABLE = [1146, 1049];
const VOID = 'rolled back';
const MARKER = 'holdfast_import_';
/** How names of tables begin that are being made. */
export const MAKING = 'holdfast_making_';

/**
 * How an attempt's commit is known by after a crash: neither server tells a transaction's fate by a number that is known
 * before the commit. A table of its own is made before the transaction, which writes one row into it: with the row it has
 * committed, without it not. It is removed once the fate is known: a record in the journal whose table is gone has committed.
 */
export interface Marker {
  schema: string;
  /** `holdfast_import_<id>_<attempt>` */
  name: string;
}

export function newMarker(schema: string, id: string): Marker {
  return { schema, name: `${MARKER}${id}_${randomBytes(4).toString('hex')}` };
}

/** As {@link ImportRecord.transaction} names it. */
export const formatMarker = ({ schema, name }: Marker): string => formatNameParts([schema, name]);

export function parseMarker(transaction: string): Marker {
  const [schema = '', name = ''] = parseNameParts(transaction);
  return { schema, name };
}

/** The name under which a table is made until it is whole; it has its own name by the attempt's last step. */
export function makingName({ name }: Marker, index: number): string {
  return `${name.replace(MARKER, MAKING)}_${index}`;
}

const tableOf = ({ schema, name }: Marker) => quoteTable([schema, name]);

export async function createMarker(session: Connection, marker: Marker): Promise<void> {
  await session.execute(`CREATE TABLE ${tableOf(marker)} (done TINYINT NOT NULL PRIMARY KEY) ENGINE=InnoDB`);
}

export async function fillMarker(session: Connection, marker: Marker): Promise<void> {
  await session.execute(`INSERT INTO ${tableOf(marker)} (done) VALUES (1)`);
}

export async function dropMarker(session: Connection, marker: Marker): Promise<void> {
  await session.execute(`DROP TABLE IF EXISTS ${tableOf(marker)}`);
}

/** `cleaned`: it has committed, and everything after that is done, too. */
export async function fateOf(
  session: Connection,
  marker: Marker,
): Promise<'committed' | 'rolled back' | 'cleaned'> {
  try {
    // A lock waits for a transaction that is just ending; a shared one takes no right but SELECT.
    const rows = await session.query(`SELECT done FROM ${tableOf(marker)} LOCK IN SHARE MODE`);
    return rows.length > 0 ? 'committed' : 'rolled back';
  } catch (error) {
    if (NO_SUCH_TABLE.includes(refusalOf(error) ?? 0)) return 'cleaned';
    throw error;
  }
}

/** The records of a plan whose attempts may have committed, oldest first. */
export async function openRecords(journal: ImportJournal, planDigest: string): Promise<ImportRecord[]> {
  const records = await journal.read();
  const voided = new Set(
    records.filter((record) => record.planDigest === VOID).map(({ transaction }) => transaction),
  );
  return records.filter((record) => record.planDigest === planDigest && !voided.has(record.transaction));
}

/** Says in the journal that an attempt did not commit, before its marker goes. */
export async function voidRecord(journal: ImportJournal, transaction: string): Promise<void> {
  const result: ImportResult = { tables: [], transaction, alreadyDone: false, undo: null };
  await journal.write({ transaction, planDigest: VOID, result, undo: null });
}

/** Removes what other attempts of the same runbook left in these dbs. Their fates are known, or they never had one. */
export async function dropLeftovers(
  session: Connection,
  schemas: readonly string[],
  id: string,
): Promise<void> {
  for (const schema of new Set(schemas)) {
    const rows = await session.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ?
         AND (table_name LIKE ? OR table_name LIKE ?)`,
      [schema, like(`${MARKER}${id}_`), like(`${MAKING}${id}_`)],
    );
    if (rows.length === 0) continue;
    // Their foreign keys may refer to each other.
    await session.execute('SET SESSION foreign_key_checks = 0');
    await session.execute(
      `DROP TABLE IF EXISTS ${rows.map(({ name }) => quoteTable([schema, name])).join(', ')}`,
    );
    await session.execute('SET SESSION foreign_key_checks = 1');
  }
}

const like = (start: string) => `${start.replaceAll(/[\\%_]/g, (found) => `\\${found}`)}%`;
