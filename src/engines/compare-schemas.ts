import type { Check } from '../model/evidence.ts';

/** What a restored copy never has, since it would act by itself. */
const LEFT_OUT = /^(?:event trigger|publication|subscription) \| /;
/** What is said of differences at most. */
const NAMED = 10;

/**
 * The canonical schema of a copy beside the one that the backup kept. Where the site could not make everything, which
 * `notices` tell, a difference is no fault of the backup.
 */
export function compareSchemas(expected: string, found: string, notices: readonly string[]): Check {
  const lines = (text: string) => text.split('\n').filter((line) => line !== '' && !LEFT_OUT.test(line));
  const [there, here] = [lines(expected), lines(found)];
  const [known, made] = [new Set(there), new Set(here)];
  const differing = [
    ...there.filter((line) => !made.has(line)).map((line) => `missing: ${shown(line)}`),
    ...here.filter((line) => !known.has(line)).map((line) => `other: ${shown(line)}`),
  ];
  const name = 'definitions';
  if (differing.length === 0) {
    return {
      name,
      verdict: 'pass',
      detail: `${there.length} definitions, each as in the backup's own snapshot`,
    };
  }
  const more = differing.length > NAMED ? `; and ${differing.length - NAMED} more` : '';
  return {
    name,
    verdict: notices.length === 0 ? 'fail' : 'inconclusive',
    detail: [`${differing.slice(0, NAMED).join('; ')}${more}`, ...notices].join('; '),
  };
}

const shown = (line: string) => line.split(' | ').slice(0, 2).join(' ');
