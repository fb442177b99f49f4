import type { Check } from '../../model/evidence.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { parseNameParts } from '../../model/table.ts';
import { unlessAway } from '../beside-production.ts';
import type { CheckInput } from '../contract/restore.ts';
import { runTool } from '../process.ts';
import { AMCHECK_INSTALLED, AMCHECK_OPEN } from './amcheck-sql.ts';
import { checkCollations, checkExtensions } from './check-environment.ts';
import { checkSchema } from './check-schema.ts';
import { clientEnvironment, withConnection } from './connection.ts';
import { quoteQualified } from './identifier.ts';
import { endServer } from './instance-processes.ts';
import { layoutOf } from './place.ts';
import { postgresProgram } from './programs.ts';
import { readReplayState } from './replay-state.ts';
import { ensureRunning } from './server.ts';

/** Above this, `--heapallindexed` (every row looked up in every index) is left out of a check of everything. */
const THOROUGH_BYTES = 2 * 1024 ** 3;
/** Tables and indexes that are looked at side by side, as many as files are in a restore. */
const JOBS = 2;

/**
 * Looks at the restored copy: its pages and indexes, extensions, collations, and its schema beside
 * production's. A difference to production is no damage: it is `inconclusive`, with what differs.
 */
export async function check(input: CheckInput, run: Run): Promise<Check[]> {
  const checks = input.madeHere === true ? [] : [await checkIntegrity(input, run)];
  run.progress({ phase: 'comparing schema, extensions and collations' });
  if (input.madeHere !== true) checks.push(await checkCollations(input, run));
  const { production } = input;
  checks.push(await unlessAway('extensions', () => checkExtensions(input, run)));
  if (production !== null) checks.push(await unlessAway('schema', () => checkSchema(input, production, run)));
  return checks;
}

interface Facts {
  /** installed, and the user may call what pg_amcheck calls: a missing right reads like damage there */
  amcheck: boolean;
  checksums: boolean;
  bytes: number;
}

async function checkIntegrity(input: CheckInput, run: Run): Promise<Check> {
  const facts = await withConnection(
    input.restored,
    { signal: run.signal, applicationName: 'check', readOnly: true },
    async (client): Promise<Facts> => {
      const { rows } = await client.query<Facts>(`
        SELECT ${AMCHECK_INSTALLED} AND ${AMCHECK_OPEN} AS amcheck,
          pg_catalog.current_setting('data_checksums') = 'on' AS checksums,
          pg_catalog.pg_database_size(pg_catalog.current_database())::pg_catalog.float8 AS bytes`);
      return rows[0] as Facts;
    },
  );
  // A standby refuses CREATE EXTENSION: amcheck has to come from production.
  if (facts.amcheck) return amcheck(input, facts, run);
  if ((await readReplayState(input.place))?.production !== undefined) return unlooked(IN_USE);
  return facts.checksums ? pageChecksums(input, run) : unlooked(NOTHING_TO_LOOK_BY);
}

const NOTHING_TO_LOOK_BY =
  'neither is amcheck installed in production and open to this user (CREATE EXTENSION amcheck, EXECUTE on its functions) nor are its page checksums on: pages and indexes were not looked at';
const IN_USE =
  'amcheck is not installed, or not open to this user, and page checksums are looked at in a stopped server: this one is in use';

const unlooked = (detail: string): Check => ({ name: 'integrity', verdict: 'inconclusive', detail });

/** Reads every page of the tables and their indexes through the server. Exit 2: there is damage. */
async function amcheck(input: CheckInput, facts: Facts, run: Run): Promise<Check> {
  const thorough = input.tables !== null || facts.bytes <= THOROUGH_BYTES;
  run.progress({ phase: 'checking pages and indexes' });
  const program = await postgresProgram('pg_amcheck', input.serverMajor);
  const scope = input.tables === null ? 'all tables' : input.tables.join(', ');
  const args = [
    '--no-password',
    `--jobs=${JOBS}`,
    ...(thorough ? ['--heapallindexed'] : []),
    ...(input.tables === null ? [] : ['--no-strict-names']),
    ...(await patternsOf(input, run)).map((pattern) => `--table=${pattern}`),
  ];
  const findings: string[] = [];
  let damaged = false;
  await runTool(program, args, {
    signal: run.signal,
    user: input.place.user,
    env: clientEnvironment(input.restored),
    onLine: (line, from) => {
      if (from === 'stdout' && findings.length < 5) findings.push(line.trim());
    },
    classify: ({ exitCode }) => {
      damaged = exitCode === 2;
      return damaged ? new HoldfastError('CheckFailed', 'pg_amcheck found damage') : undefined;
    },
  }).catch((error) => {
    if (!damaged) throw error;
  });
  const how = `pg_amcheck${thorough ? ' --heapallindexed' : ''} of ${scope}`;
  return damaged
    ? { name: 'integrity', verdict: 'fail', detail: `${how}: ${findings.join(' / ')}` }
    : { name: 'integrity', verdict: 'pass', detail: `${how} found no damage` };
}

/**
 * The tables as patterns of psql's kind, in which every character in double quotes stands for itself. A
 * partitioned table has no pages of its own: its partitions have.
 */
async function patternsOf({ restored, tables }: CheckInput, run: Run): Promise<string[]> {
  if (tables === null) return [];
  const names = tables.map((table) => parseNameParts(table).slice(-2));
  const options = { signal: run.signal, applicationName: 'check', readOnly: true };
  return withConnection(restored, options, async (client) => {
    const { rows } = await client.query<{ nspname: string; relname: string }>(
      `SELECT ln.nspname, l.relname
         FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS w(s, t)
         JOIN pg_catalog.pg_namespace n ON n.nspname = w.s
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.t
         LEFT JOIN LATERAL pg_catalog.pg_partition_tree(c.oid) p ON p.isleaf
         JOIN pg_catalog.pg_class l ON l.oid = COALESCE(p.relid, c.oid) AND l.relkind = 'r'
         JOIN pg_catalog.pg_namespace ln ON ln.oid = l.relnamespace`,
      [names.map(([schema]) => schema), names.map(([, table]) => table)],
    );
    return rows.map(({ nspname, relname }) => quoteQualified([nspname, relname]));
  });
}

/** Needs a server that was stopped cleanly; after that it comes back to the same position. */
async function pageChecksums(input: CheckInput, run: Run): Promise<Check> {
  const { place, serverMajor } = input;
  const program = await postgresProgram('pg_checksums', serverMajor);
  run.progress({ phase: 'checking page checksums' });
  await endServer(place, 600_000);
  try {
    await runTool(program, ['--check', '-D', layoutOf(place).data], {
      signal: run.signal,
      user: place.user,
      classify: ({ output }) => {
        const bad = /Bad checksums:\s+(\d+)/.exec(output)?.[1];
        return bad === undefined || bad === '0' ? undefined : new HoldfastError('CheckFailed', bad);
      },
    });
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'CheckFailed') throw error;
    return { name: 'integrity', verdict: 'fail', detail: `${error.message} pages have a wrong checksum` };
  } finally {
    if (!run.signal.aborted) await ensureRunning(place, run);
  }
  return {
    name: 'integrity',
    verdict: 'pass',
    detail:
      'every page checksum is right; indexes were not looked at, since amcheck is not installed in production, or not open to this user',
  };
}
