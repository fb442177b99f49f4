import { quoteLiteral } from './identifier.ts';

const DAY = 86_400;
/** Shorter than any time that was kept for a while only, Morocco's Ramadan among them. */
const STEP = 7 * DAY;
/** Where TIMESTAMP begins and ends. */
const FIRST = 0;
const LAST = 2 ** 31 - 1;

/** Seconds since 1970 from which on a zone is so many seconds ahead of UTC. */
export interface Change {
  at: number;
  offset: number;
}

/**
 * What a time zone was, is and will be, by the rules that come with Node (ICU's copy of the IANA database). Null: there
 * is no such zone. The first change is the beginning of all times.
 */
export function changesOf(zone: string): Change[] | null {
  let offsetAt: (at: number) => number;
  try {
    offsetAt = offsetsOf(zone);
  } catch {
    return null;
  }
  const changes: Change[] = [{ at: FIRST, offset: offsetAt(FIRST) }];
  for (let at = FIRST; at < LAST; at += STEP) {
    const end = Math.min(at + STEP, LAST);
    const before = offsetAt(at);
    if (offsetAt(end) === before) continue;
    let [low, high] = [at, end];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offsetAt(middle) === before) low = middle;
      else high = middle;
    }
    changes.push({ at: high, offset: offsetAt(high) });
  }
  return changes;
}

function offsetsOf(zone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: zone, hourCycle: 'h23' as const, era: 'short' as const },
    ...{ year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  return (at) => {
    const parts = new Map(format.formatToParts(at * 1000).map(({ type, value }) => [type, Number(value)]));
    const of = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
    const local = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
    return local / 1000 - at;
  };
}

/**
 * Teaches a server a zone by its name: a restored one knows none, and dumps and logs name those of production's sessions.
 * False: nobody knows it. Source of the tables: "MySQL Server Time Zone Support" of the manual; MariaDB's are the same.
 */
export async function makeTimeZone(
  execute: (statement: string) => Promise<unknown>,
  zone: string,
): Promise<boolean> {
  const changes = changesOf(zone);
  if (changes === null) return false;
  const offsets = [...new Set(changes.map(({ offset }) => offset))];
  const rows = (list: readonly string[]) => list.map((row) => `(@zone, ${row})`).join(', ');
  for (const statement of [
    "INSERT INTO mysql.time_zone (Use_leap_seconds) VALUES ('N')",
    'SET @zone = LAST_INSERT_ID()',
    `INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES (${quoteLiteral(zone)}, @zone)`,
    `INSERT INTO mysql.time_zone_transition_type (Time_zone_id, Transition_type_id, \`Offset\`, Is_DST, Abbreviation)
      VALUES ${rows(offsets.map((offset, id) => `${id}, ${offset}, 0, ''`))}`,
    `INSERT INTO mysql.time_zone_transition (Time_zone_id, Transition_time, Transition_type_id)
      VALUES ${rows(changes.map(({ at, offset }) => `${at}, ${offsets.indexOf(offset)}`))}`,
  ]) {
    await execute(statement);
  }
  return true;
}

/** The zone that a server does not know, from its words (error 1298); null: it says another thing. */
export function unknownZone(said: string): string | null {
  return /Unknown or incorrect time zone: '([A-Za-z0-9_+\-/]{1,64})'/.exec(said)?.[1] ?? null;
}
