import type { InstancePlace } from '../contract/restore.ts';
import { runTool } from '../process.ts';
import { layoutOf } from './place.ts';
import { postgresProgram } from './programs.ts';

/**
 * Parameters that recovery needs to be at least as high as they were on the primary (PostgreSQL
 * documentation, 27.4.3 "Administrator's Overview" of hot standby).
 */
export interface InstanceParameters {
  max_connections: number;
  max_worker_processes: number;
  max_wal_senders: number;
  max_prepared_transactions: number;
  max_locks_per_transaction: number;
}

const LABELS: Record<keyof InstanceParameters, string> = {
  max_connections: 'max_connections setting',
  max_worker_processes: 'max_worker_processes setting',
  max_wal_senders: 'max_wal_senders setting',
  max_prepared_transactions: 'max_prepared_xacts setting',
  max_locks_per_transaction: 'max_locks_per_xact setting',
};

/** Reads a restored data directory's own control file. Throws ToolFailed where it cannot be read. */
export async function readParameters(
  place: InstancePlace,
  serverMajor: number,
  signal: AbortSignal,
): Promise<InstanceParameters> {
  const program = await postgresProgram('pg_controldata', serverMajor);
  const { stdout } = await runTool(program, [layoutOf(place).data], {
    signal,
    user: place.user,
    stdout: 'text',
  });
  return parseParameters(stdout);
}

/** The parameters in `pg_controldata`'s English output. */
export function parseParameters(text: string): InstanceParameters {
  const values = new Map(
    text.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).trim(), Number(line.slice(colon + 1).trim())] as const;
    }),
  );
  const read = (name: keyof InstanceParameters) => values.get(LABELS[name]) ?? 0;
  return {
    max_connections: read('max_connections'),
    max_worker_processes: read('max_worker_processes'),
    max_wal_senders: read('max_wal_senders'),
    max_prepared_transactions: read('max_prepared_transactions'),
    max_locks_per_transaction: read('max_locks_per_transaction'),
  };
}

/**
 * The parameter that the primary raised after the base backup, from the server's log, with the value that
 * it had there; null where the log does not say so.
 */
export function parameterTooLow(log: string): Partial<InstanceParameters> | null {
  const found =
    /(max_\w+) = \d+ is a lower setting than on the primary server(?:, where its value was| \(its value was) (\d+)/.exec(
      log,
    );
  if (found === null || !((found[1] as string) in LABELS)) return null;
  return { [found[1] as keyof InstanceParameters]: Number(found[2]) };
}

/** The higher one of each. */
export function raise(
  parameters: InstanceParameters,
  atLeast: Partial<InstanceParameters>,
): InstanceParameters {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      Math.max(value, atLeast[name as keyof InstanceParameters] ?? 0),
    ]),
  ) as unknown as InstanceParameters;
}
