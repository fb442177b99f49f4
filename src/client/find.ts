import type { DatabaseView } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Candidate } from '../engines/contract/read.ts';
import { parseDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Progress } from '../model/progress.ts';
import { targetSchema } from '../model/target.ts';
import { searchArchived } from './find/archived.ts';
import type { FindQuery } from './find/search.ts';
import { searchShipped } from './find/shipped.ts';
import { withRepository } from './recoverable.ts';

/** The contract of `holdfast find --output json`, but for the commands. */
export interface FindResult {
  database: string;
  table: string;
  searched: { from: string | null; to: string | null; logs: number };
  candidates: Candidate[];
  likeliest: Candidate | null;
  notices: string[];
}

const S3_PATIENCE_MS = 30_000;

/** `2h` before now, or ISO 8601 with an offset. Throws InvalidInput in the words of the command line. */
export function readMoment(option: string, text: string, now: Date): Date {
  if (/^[\d.]+[smhdwy]/.test(text)) return new Date(now.getTime() - parseDuration(text));
  const parsed = targetSchema.safeParse({ time: text });
  if (parsed.success && 'time' in parsed.data) return new Date(parsed.data.time.replace(' ', 'T'));
  throw new HoldfastError(
    'InvalidInput',
    `${option} ${text} is neither a time with an offset nor a duration`,
    {
      hint: 'write 2026-01-31T14:05:00Z, or 2h for two hours ago',
    },
  );
}

/** Searches the logs in the repository for what took rows from a table. Everything is read from here: no runbook is started. */
export async function findAccident(
  config: LoadedConfig,
  database: DatabaseView,
  query: FindQuery,
  run: { signal: AbortSignal; progress: (progress: Progress) => void },
): Promise<FindResult> {
  const { ENGINES } = await import('../workers/engines.ts');
  const engine = ENGINES[database.config.engine];
  if (engine === undefined) {
    throw new HoldfastError('NotSupported', `the logs of ${database.config.engine} cannot be searched`, {
      hint: `${Object.keys(ENGINES).join(' and ')} are supported`,
    });
  }
  run.progress({ phase: 'reading the catalog' });
  const { readRecoverability } = await import('../repository/catalog.ts');
  const { readOwnTransactions } = await import('../repository/own-transactions.ts');
  const searched = await withRepository(
    config,
    async (repository) => {
      const known = await readRecoverability(repository, database.name, database);
      const own = await readOwnTransactions(repository, database.name, query.since, run.signal);
      const search = { config, database, engine, repository, known, own, query, run };
      return engine.logs.kind === 'archived' ? searchArchived(search) : searchShipped(search);
    },
    S3_PATIENCE_MS,
  );
  const { candidates, likeliest, firstCommitAt, lastCommitAt, notices } = searched.found;
  return {
    database: database.name,
    table: searched.table,
    searched: {
      from: firstCommitAt === null ? null : later(firstCommitAt, query.since.toISOString()),
      to: lastCommitAt === null ? null : earlier(lastCommitAt, query.until.toISOString()),
      logs: searched.logs,
    },
    ...{ candidates, likeliest },
    notices: [...searched.notices, ...notices],
  };
}

const later = (a: string, b: string): string => (Date.parse(a) > Date.parse(b) ? a : b);
const earlier = (a: string, b: string): string => (Date.parse(a) < Date.parse(b) ? a : b);
