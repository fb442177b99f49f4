import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';

/** What is said of differences at most; the whole is for the engine's own dump of definitions. */
const NAMED = 20;

/** A check of a copy beside production. A production that does not answer is no fault of the copy. */
export async function unlessAway(name: string, work: () => Promise<Check>): Promise<Check> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'ConnectionFailed') throw error;
    return { name, verdict: 'inconclusive', detail: `production was not asked: ${error.message}` };
  }
}

/** What a copy's definitions are beside production's. A difference is no damage, but an import has to cope with it. */
export function schemaCheck(scope: string, differences: readonly string[]): Check {
  const name = 'schema';
  if (differences.length === 0) return { name, verdict: 'pass', detail: `${scope}: as in production` };
  const more = differences.length > NAMED ? `; and ${differences.length - NAMED} more` : '';
  return {
    name,
    verdict: 'inconclusive',
    detail: `production has changed since: ${differences.slice(0, NAMED).join('; ')}${more}`,
  };
}
