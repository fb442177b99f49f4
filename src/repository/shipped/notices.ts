import { countOf } from '../../model/plan.ts';
import type { LogRecord } from './logs.ts';

/**
 * What people have to know of logs that are replayed, from their records in order: each thing once, with its counts added
 * up, and the logs that it was found in.
 */
export function noticesOfLogs(records: readonly Pick<LogRecord, 'name' | 'notices'>[]): string[] {
  const found = records.flatMap(({ name, notices }) => notices.map((notice) => ({ name, notice })));
  const alike = Map.groupBy(found, ({ notice }) => notice.replaceAll(NUMBER, '#'));
  return [...alike.values()].map((own) => {
    const [first, last] = [own[0]?.name, own.at(-1)?.name];
    const names = first === last ? first : `${first} … ${last}`;
    const where = `in ${own.length} of ${countOf(records.length, 'replayed log')} (${names})`;
    return `${where}: ${added(own.map(({ notice }) => notice))}; what they did may have come back otherwise than it was`;
  });
}

const NUMBER = /\d+/g;

/** The first one, with each number that of all together. */
function added(notices: readonly string[]): string {
  const numbers = notices.map((notice) => [...notice.matchAll(NUMBER)].map(Number));
  let at = 0;
  return (notices[0] ?? '').replaceAll(NUMBER, () => {
    const sum = numbers.reduce((all, own) => all + (own[at] ?? 0), 0);
    at += 1;
    return sum.toLocaleString('en-US');
  });
}
