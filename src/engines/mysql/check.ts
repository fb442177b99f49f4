import type { Check } from '../../model/evidence.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts, parseNameParts } from '../../model/table.ts';
import { unlessAway } from '../beside-production.ts';
import type { CheckInput } from '../contract/restore.ts';
import { checkSchema } from './check-schema.ts';
import { type Connection, withConnection } from './connection.ts';
import { quoteLiteral, quoteTable } from './identifier.ts';
import { SYSTEM_DATABASES } from './inspect.ts';
import { readReplayState } from './replay-state.ts';

/** Above this, a check of everything looks at each index's pages only, and not at each row's entry in it. */
const THOROUGH_BYTES = 2 * 1024 ** 3;
/** What is said of damage at most. */
const NAMED = 5;

/**
 * Engine.check: reads every page of the copy's tables and their indexes, and compares its definitions with production's.
 * A difference to production is no damage: it is `inconclusive`, with what differs.
 */
export async function check(input: CheckInput, run: Run): Promise<Check[]> {
  const { restored, production, tables } = input;
  const all = await withConnection(
    { ...restored, database: '' },
    run,
    (session) => tablesOf(session, tables),
    { applicationName: 'check', readOnly: true },
  );
  const checks = input.madeHere === true ? [] : [await checkIntegrity(input, all, run)];
  const lacking = await checkCompleteness(input);
  if (lacking !== null) checks.push(lacking);
  if (production === null) return checks;
  run.progress({ phase: 'comparing the schema' });
  const dbs = [...new Set(all.map(({ db }) => db))];
  checks.push(await unlessAway('schema', () => checkSchema(input, production, dbs, run)));
  return checks;
}

/** What of the backup could not be made on this site; null: everything was. */
async function checkCompleteness({ place, madeHere }: CheckInput): Promise<Check | null> {
  // Of a copy of some tables it is said with its result.
  if (madeHere === true) return null;
  const notices = (await readReplayState(place))?.notices ?? [];
  if (notices.length === 0) return null;
  return { name: 'completeness', verdict: 'inconclusive', detail: notices.join('; ') };
}

interface CopiedTable {
  db: string;
  name: string;
  bytes: number;
}

async function tablesOf(session: Connection, tables: string[] | null): Promise<CopiedTable[]> {
  const rows = await session.query<{ db: string; name: string; bytes: string }>(
    `SELECT table_schema AS db, table_name AS name, CAST(COALESCE(data_length + index_length, 0) AS CHAR) AS bytes
       FROM information_schema.tables
      WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
        AND table_schema NOT IN (${SYSTEM_DATABASES.map(quoteLiteral).join(', ')})
      ORDER BY table_schema, table_name`,
  );
  const found = rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
  if (tables === null) return found;
  const wanted = new Set(tables.map((table) => formatNameParts(parseNameParts(table).slice(-2))));
  return found.filter(({ db, name }) => wanted.has(formatNameParts([db, name])));
}

interface Answer {
  Msg_type: string;
  Msg_text: string;
}

/** Source: "CHECK TABLE Statement" of both manuals; InnoDB's reads each index and counts its entries, QUICK leaves rows out. */
async function checkIntegrity(input: CheckInput, all: readonly CopiedTable[], run: Run): Promise<Check> {
  const bytes = all.reduce((sum, table) => sum + table.bytes, 0);
  const option = input.tables !== null || bytes <= THOROUGH_BYTES ? '' : ' QUICK';
  const findings: string[] = [];
  await withConnection(
    { ...input.restored, database: '' },
    run,
    async (session) => {
      for (const [done, { db, name }] of all.entries()) {
        run.progress({
          ...{ phase: 'checking tables and indexes', done, total: all.length, unit: 'tables' as const },
          detail: formatNameParts([db, name]),
        });
        const rows = await session.query<Answer>(`CHECK TABLE ${quoteTable([db, name])}${option}`);
        for (const { Msg_type: type, Msg_text: text } of rows) {
          const isFine =
            type === 'note' || (type === 'status' && /^(?:OK|Table is already up to date)$/.test(text));
          if (!isFine) findings.push(`${formatNameParts([db, name])}: ${text.slice(0, 200)}`);
        }
      }
    },
    { applicationName: 'check' },
  );
  const scope = input.tables === null ? `all ${all.length} tables` : input.tables.join(', ');
  const how = `CHECK TABLE${option} of ${scope}`;
  const more = findings.length > NAMED ? ` and ${findings.length - NAMED} more` : '';
  return findings.length === 0
    ? { name: 'integrity', verdict: 'pass', detail: `${how} found no damage` }
    : {
        name: 'integrity',
        verdict: 'fail',
        detail: `${how}: ${findings.slice(0, NAMED).join(' / ')}${more}`,
      };
}
