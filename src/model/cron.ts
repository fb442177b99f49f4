import { HoldfastError } from './failure.ts';

/** When a cron expression fires, in UTC. A day has to match its month, its day and its weekday: all three. */
export interface Cron {
  /** minutes of a day, sorted */
  minutes: number[];
  days: Set<number>;
  months: Set<number>;
  /** 0 is Sunday */
  weekdays: Set<number>;
  /** the five fields' values, sorted */
  fields: CronFields;
}
export type CronFields = [
  minute: number[],
  hour: number[],
  day: number[],
  month: number[],
  weekday: number[],
];

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

interface Field {
  name: string;
  least: number;
  most: number;
  names?: { words: string[]; first: number };
}
const FIELDS: readonly [Field, Field, Field, Field, Field] = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of the month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, names: { words: MONTHS, first: 1 } },
  { name: 'day of the week', least: 0, most: 6, names: { words: WEEKDAYS, first: 0 } },
];

const DAY_MINUTES = 24 * 60;
const DAY_MS = 86_400_000;
/** A year and a bit: what does not fire in it is no schedule for backups. */
const HORIZON_DAYS = 400;
/** Any fixed day will do; one at the start of a year makes a yearly schedule fire twice in the horizon. */
const FIRST_DAY = Date.UTC(2026, 0, 1);

/** Reads the five fields of a cron expression, as Temporal does. Throws InvalidInput that names the field. */
export function parseCron(text: string): Cron {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) {
    throw invalid(`"${text}" is not a cron expression of five fields`);
  }
  const fields = FIELDS.map((field, index) => valuesOf(parts[index] as string, field)) as CronFields;
  const [minutes, hours, days, months, weekdays] = fields;
  const ofDay = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute)).sort((a, b) => a - b);
  return {
    minutes: ofDay,
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(weekdays),
    fields,
  };
}

/** One form for all expressions that fire at the same times: `*` for a whole field, ranges for neighbours. */
export function formatCron(fields: CronFields): string {
  return FIELDS.map(({ least, most }, index) => formatField(fields[index] as number[], least, most)).join(
    ' ',
  );
}

function formatField(values: readonly number[], least: number, most: number): string {
  if (values.length === most - least + 1) return '*';
  const ranges: [number, number][] = [];
  for (const value of values) {
    const last = ranges.at(-1);
    if (last !== undefined && value === last[1] + 1) last[1] = value;
    else ranges.push([value, value]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/**
 * The longest time in milliseconds between two runs in a row of any of these expressions; null where they fire
 * less than twice in 400 days.
 */
export function largestGapMs(expressions: readonly string[]): number | null {
  const crons = expressions.map(parseCron);
  let largest = 0;
  let last: number | null = null;
  let runs = 0;
  // What repeats each week shows all its gaps in two: a fleet has thousands of these.
  const horizon = crons.every(isWeekly) ? 15 : HORIZON_DAYS;
  for (let day = 0; day < horizon; day += 1) {
    const date = new Date(FIRST_DAY + day * DAY_MS);
    const due = crons.filter((cron) => firesOn(cron, date));
    for (const minute of due.length === 1 ? (due[0] as Cron).minutes : unionOf(due)) {
      const at: number = day * DAY_MINUTES + minute;
      if (last !== null) largest = Math.max(largest, at - last);
      last = at;
      runs += 1;
    }
  }
  return runs < 2 ? null : largest * 60_000;
}

/** Every time at which one of these expressions fires after a moment and before another; milliseconds, in order. */
export function firesBetween(expressions: readonly string[], after: number, before: number): number[] {
  const crons = expressions.map(parseCron);
  const times: number[] = [];
  if (crons.length === 0) return times;
  for (let day = Math.floor(after / DAY_MS) * DAY_MS; day < before; day += DAY_MS) {
    const date = new Date(day);
    const due = crons.filter((cron) => firesOn(cron, date));
    for (const minute of due.length === 1 ? (due[0] as Cron).minutes : unionOf(due)) {
      const at = day + minute * 60_000;
      if (at > after && at < before) times.push(at);
    }
  }
  return times;
}

function isWeekly({ days, months }: Cron): boolean {
  return days.size === 31 && months.size === 12;
}

function firesOn(cron: Cron, date: Date): boolean {
  return (
    cron.weekdays.has(date.getUTCDay()) &&
    cron.days.has(date.getUTCDate()) &&
    cron.months.has(date.getUTCMonth() + 1)
  );
}

function unionOf(crons: readonly Cron[]): number[] {
  return [...new Set(crons.flatMap((cron) => cron.minutes))].sort((a, b) => a - b);
}

function valuesOf(text: string, field: Field): number[] {
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const match = /^(?:(\*)|([0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?)(?:\/(\d+))?$/.exec(item);
    if (match === null) throw outside(item, field);
    const [, all, from, to, step] = match;
    const first = all ? field.least : numberOf(from as string, item, field);
    const last = all ? field.most : numberOf(to ?? (from as string), item, field);
    const stride = step === undefined ? 1 : Number(step);
    if (last < first || stride < 1) throw outside(item, field);
    if (step !== undefined && !all && to === undefined) throw outside(item, field);
    for (let value = first; value <= last; value += stride) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function numberOf(word: string, item: string, field: Field): number {
  const named = field.names?.words.indexOf(word.toUpperCase()) ?? -1;
  const value = named >= 0 ? named + (field.names?.first ?? 0) : Number(word);
  if (!Number.isInteger(value) || value < field.least || value > field.most) throw outside(item, field);
  return value;
}

function outside(item: string, field: Field): HoldfastError {
  const names = field.names === undefined ? '' : ` or ${field.names.words.join(', ')}`;
  return invalid(`"${item}" is no ${field.name}: ${field.least} to ${field.most}${names} are`);
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('InvalidInput', message, {
    hint: 'the fields are minute, hour, day of the month, month, day of the week, in UTC: 30 2 * * 1-5 is 02:30 from Monday to Friday',
  });
}
