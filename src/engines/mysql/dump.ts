import type { ServerAccess } from '../../model/access.ts';
import type { Fingerprints, LogPositions, StoredObject, TableFingerprint } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { formatNameParts } from '../../model/table.ts';
import type { DumpedObject, LogicalDump, ObjectSink, ServerFacts } from '../contract/backup.ts';
import { startTool } from '../process.ts';
import { putText } from '../stored-text.ts';
import { zstdVersion } from '../zstd.ts';
import { readGlobals } from './accounts.ts';
import { withConnection } from './connection.ts';
import { dumpArguments } from './dump-arguments.ts';
import { dumpFailure } from './dump-failure.ts';
import { type StandStill, standStill } from './dump-lock.ts';
import { dumpProgress } from './dump-progress.ts';
import { countMarks, DumpSplitter, type Section } from './dump-split.ts';
import { storeSections } from './dump-stream.ts';
import { requireDumpable, requireSame, type Survey, survey } from './dump-survey.ts';
import { type CountedTable, fingerprintTables } from './fingerprint.ts';
import { flavourOf } from './flavour.ts';
import { readFacts } from './inspect.ts';
import { dumpNotices } from './notices.ts';
import { writeOptionFile } from './option-file.ts';
import type { DumpPrograms } from './programs.ts';
import { dumpPrograms } from './programs.ts';
import { ROW_HASH, readAllColumns } from './row-hash.ts';
import { schemaText } from './schema.ts';

export interface DumpInput {
  access: ServerAccess;
  sink: ObjectSink;
  fingerprints: boolean;
}

/** For tests, which have other patience. */
export interface DumpOptions {
  /** how long to wait for long statements of others before the lock is given up */
  patienceMs?: number;
  programs?: DumpPrograms;
}

/** Sessions that count beside a dump: two keep a small host's cores busy without taking more than a dump does. */
const SESSIONS = 2;
/** How long writes wait for the dump to begin at most. */
const BEGIN_LIMIT_MS = 20_000;

interface Plan {
  access: ServerAccess;
  facts: ServerFacts;
  before: Survey;
  tables: CountedTable[];
  programs: DumpPrograms;
}

/**
 * Engine.dump: every db of the server in one snapshot, at a known position in its log, one object for each db (its views
 * in one behind it, since they may be of other dbs), and the accounts. Everything streams. Writes wait for the fraction of
 * a second in which the snapshots are taken; see {@link standStill}. Throws NotSupported for tables whose rows do not stand
 * still, BackupFailed where definitions change while it runs, LockNotAvailable.
 */
export async function dump(input: DumpInput, run: Run, options: DumpOptions = {}): Promise<LogicalDump> {
  const { access, sink } = input;
  const session = { applicationName: 'dump', readOnly: true };
  const { plan, notices } = await withConnection(
    access,
    run,
    async (connection) => {
      const facts = await readFacts(connection);
      const tables = await requireDumpable(connection, facts);
      const programs = options.programs ?? (await dumpPrograms(facts.major));
      await requireCapable(connection, facts, programs);
      const names = facts.databases.map(({ name }) => name);
      const notices = [...programs.notices, ...(await dumpNotices(connection, names))];
      run.progress({ phase: 'reading definitions' });
      const before = await survey(connection, facts);
      return { plan: { access, facts, before, tables, programs }, notices };
    },
    session,
  );
  const still = await standStill(access, input.fingerprints ? SESSIONS : 0, options.patienceMs, run);
  try {
    notices.push(...still.notices);
    const globals = await withConnection(access, run, readGlobals, { applicationName: 'dump' });
    if (!globals.accounts)
      notices.push(`accounts and grants are not in the backup: user ${access.user} may not read them`);
    const dumped = await dumpAll(plan, still, input, run);
    const databases: DumpedObject[] = [];
    for (const { name } of plan.facts.databases) {
      const schema = schemaText(plan.before.definitions.get(name) ?? []);
      const stored = await putText(sink, `${encodeURIComponent(name)}.schema.txt`, schema.text);
      const fingerprints = fingerprintsOf(name, schema.sha256, still.aligned, dumped.counted);
      databases.push({ name, objects: dumped.objects.get(name) ?? [], schema: stored, fingerprints });
    }
    const stored = await putText(sink, 'globals.sql', globals.text);
    const tools = { mysqldump: plan.programs.version, zstd: await zstdVersion(run) };
    return { facts: plan.facts, positions: still.positions, databases, globals: stored, tools, notices };
  } finally {
    await still.close();
  }
}

/** MariaDB's mysqldump gives generated columns values, which MySQL refuses to load (error 3105, measured). */
async function requireCapable(
  connection: Parameters<typeof readAllColumns>[0],
  facts: ServerFacts,
  programs: DumpPrograms,
): Promise<void> {
  if (flavourOf(facts.major) !== 'mysql' || programs.flavour === 'mysql') return;
  for (const { name } of facts.databases) {
    for (const [table, columns] of await readAllColumns(connection, name)) {
      if (columns.every(({ generated }) => generated === null)) continue;
      throw new HoldfastError(
        'NotSupported',
        `${formatNameParts([name, table])} has generated columns, and what MariaDB's mysqldump writes of it does not load into MySQL`,
        {
          hint: "install Oracle's mysql and mysqldump on this host, or name their folder under tools.mysql in the configuration",
        },
      );
    }
  }
}

function fingerprintsOf(
  db: string,
  schemaSha256: string,
  aligned: boolean,
  counted: readonly TableFingerprint[] | null,
): Fingerprints | null {
  if (counted === null) return null;
  const prefix = `${formatNameParts([db])}.`;
  const tables = counted.filter(({ table }) => table.startsWith(prefix));
  return { hash: ROW_HASH, precision: aligned ? 'exact' : 'bounds', schemaSha256, tables };
}

interface Dumped {
  objects: Map<string, StoredObject[]>;
  counted: TableFingerprint[] | null;
}

async function dumpAll(plan: Plan, still: StandStill, input: DumpInput, run: Run): Promise<Dumped> {
  const { access, facts, tables } = plan;
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const counting = input.fingerprints
    ? fingerprintTables({ sessions: still.sessions, tables, access }, { signal, progress: () => {} })
    : Promise.resolve(null);
  // A failed count ends the dump at once rather than after hours.
  counting.catch((error: unknown) => stop.abort(error));
  try {
    const objects =
      facts.databases.length === 0
        ? new Map()
        : await dumpRows(plan, still, input, { signal, stop, counting, run });
    await still.release();
    return { objects, counted: await counting };
  } catch (error) {
    stop.abort(error);
    await counting.catch(() => {});
    run.signal.throwIfAborted();
    // What stopped the rest is the cause.
    throw stop.signal.reason ?? error;
  }
}

interface Work {
  signal: AbortSignal;
  stop: AbortController;
  counting: Promise<unknown>;
  run: Run;
}

async function dumpRows(
  plan: Plan,
  still: StandStill,
  input: DumpInput,
  work: Work,
): Promise<Map<string, StoredObject[]>> {
  const { access, facts, before, programs, tables } = plan;
  const { signal, stop, run } = work;
  const names = facts.databases.map(({ name }) => name);
  const progress = dumpProgress(tables, run);
  const options = await writeOptionFile(access, programs.flavour);
  const late = setTimeout(() => stop.abort(tooLate()), BEGIN_LIMIT_MS);
  let begun = false;
  let released: Promise<void> = Promise.resolve();
  const begin = () => {
    begun = true;
    clearTimeout(late);
    released = still.release();
    released.catch((error: unknown) => stop.abort(error));
  };
  let ended: Promise<unknown> = Promise.resolve();
  try {
    let starting = false;
    const source = startTool(programs.dump, [options.argument, ...dumpArguments(programs.flavour, names)], {
      ...{ signal, stdout: 'pipe', classify: dumpFailure },
      onLine(line) {
        progress.onLine(line);
        // Whatever it does next it does in its transaction.
        if (starting && !begun && line.startsWith('-- ')) begin();
        if (/^-- Starting transaction/.test(line)) starting = true;
      },
    });
    ended = source.finished.catch(() => {});
    const stored = await storeSections(
      source,
      {
        splitter: new DumpSplitter(names, (name) => marksIn(before, name)),
        withViews: new Set(
          names.filter((name) => before.definitions.get(name)?.some(({ kind }) => kind === 'view')),
        ),
        heading: headingOf(still.positions),
        put: (section, content) =>
          input.sink.put(objectName(section), content, { expectedBytes: expectedBytes(section, facts) }),
        async checks() {
          await released;
          await work.counting;
          const session = { applicationName: 'dump', readOnly: true };
          requireSame(
            before,
            await withConnection(access, run, (connection) => survey(connection, facts), session),
          );
        },
        onSection: ({ database }) => progress.onDatabase(database),
        onBytes: progress.onBytes,
      },
      signal,
    );
    return byDatabase(stored);
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    clearTimeout(late);
    await ended;
    await options.remove();
  }
}

function tooLate(): HoldfastError {
  return new HoldfastError(
    'LockNotAvailable',
    `the dump did not begin within ${BEGIN_LIMIT_MS / 1000} s, and writes were waiting for it`,
    {
      hint: 'it is tried again; see SHOW PROCESSLIST, and whether this host has time for it',
    },
  );
}

const marksIn = ({ definitions }: Survey, name: string): number =>
  (definitions.get(name) ?? []).reduce((sum, { text }) => sum + countMarks(text), 0);

const objectName = ({ database, part }: Section): string =>
  `${encodeURIComponent(database)}.sql${part === 'views' ? '.views' : ''}.zst`;

const expectedBytes = ({ database, part }: Section, facts: ServerFacts): number | null =>
  part === 'views' ? null : (facts.databases.find(({ name }) => name === database)?.bytes ?? null);

/** For whoever loads it by hand. */
function headingOf({ stop, gtid }: LogPositions): string {
  if (stop === null) return '';
  return `\n--\n-- Position in the binary log: ${stop}${gtid === null || gtid === undefined || gtid === '' ? '' : `, GTIDs ${gtid}`}\n--\n`;
}

function byDatabase(
  stored: readonly { section: Section; objects: StoredObject[] }[],
): Map<string, StoredObject[]> {
  const found = new Map<string, StoredObject[]>();
  for (const { section, objects } of stored) {
    found.set(section.database, [...(found.get(section.database) ?? []), ...objects]);
  }
  return found;
}
