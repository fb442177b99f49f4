import type { HealthCheck } from '../config/schema/database.ts';
import { runTool } from '../engines/process.ts';
import { parseDuration } from '../model/duration.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';

/** What an application's questions are asked with. */
export interface Questioned {
  /** whether the one row of a query is true; null: it gave no such row */
  ask(sql: string, timeoutMs: number, run: Run): Promise<boolean | null>;
  /** how programs reach the copy */
  environment: Record<string, string>;
  /** operating-system user of the copy; null: the worker's own */
  user: string | null;
}

/** Every question in turn, whatever the one before came to. A question that is not answered in time failed. */
export async function checkHealth(
  checks: readonly HealthCheck[],
  copy: Questioned,
  run: Run,
): Promise<Check[]> {
  const found: Check[] = [];
  for (const [index, check] of checks.entries()) {
    const name = `health ${index + 1}`;
    run.progress({
      phase: 'asking about the health',
      detail: describe(check),
      done: index,
      total: checks.length,
    });
    found.push({ name, ...(await within(check, copy, run)) });
  }
  return found;
}

const describe = (check: HealthCheck): string =>
  'sql' in check ? 'a query' : 'http' in check ? check.http : (check.command[0] as string);

type Answer = Pick<Check, 'verdict' | 'detail'>;

async function within(check: HealthCheck, copy: Questioned, run: Run): Promise<Answer> {
  const limit = AbortSignal.timeout(parseDuration(check.timeout));
  const signal = AbortSignal.any([run.signal, limit]);
  const what = describe(check);
  try {
    return await answer(check, copy, { ...run, signal });
  } catch (error) {
    run.signal.throwIfAborted();
    if (limit.aborted) return { verdict: 'fail', detail: `${what} did not answer within ${check.timeout}` };
    if (error instanceof HoldfastError) return { verdict: 'fail', detail: `${what}: ${error.message}` };
    return { verdict: 'fail', detail: `${what} failed: ${(error as Error).name}` };
  }
}

async function answer(check: HealthCheck, copy: Questioned, run: Run): Promise<Answer> {
  if ('sql' in check) {
    const holds = await copy.ask(check.sql, parseDuration(check.timeout), run);
    if (holds === true) return { verdict: 'pass', detail: 'the query is true of the copy' };
    const why = holds === null ? 'gave no single row with a boolean' : 'is false';
    return { verdict: 'fail', detail: `the query ${why}: ${check.sql.slice(0, 200)}` };
  }
  if ('http' in check) {
    const response = await fetch(check.http, { signal: run.signal, redirect: 'follow' });
    await response.body?.cancel();
    return {
      verdict: response.ok ? 'pass' : 'fail',
      detail: `${check.http} answered ${response.status}`,
    };
  }
  const [program = '', ...args] = check.command;
  await runTool(program, args, { signal: run.signal, user: copy.user, env: copy.environment });
  return { verdict: 'pass', detail: `${program} ended with exit code 0` };
}
