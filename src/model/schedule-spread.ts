/**
 * Times of day by the name of a database, so that thousands of them do not start at once. The same name gives
 * the same time for ever; all times are UTC.
 */
const WINDOW_MINUTES = 4 * 60;
const LOGICAL_FROM_HOUR = 2;
const PHYSICAL_FROM_HOUR = 20;
/** After the logical backups, which it reads. */
const VERIFY_FROM_HOUR = 8;
/** After the verifications: people who are told of it are at work. */
const DRILL_FROM_HOUR = 12;
/** After both. */
const SNAPSHOT_FROM_HOUR = 16;

/** Daily, between 02:00 and 05:59. */
export function defaultLogical(name: string): string {
  const { hour, minute } = slotOf(`logical/${name}`, LOGICAL_FROM_HOUR);
  return `${minute} ${hour} * * *`;
}

/** Daily, between 08:00 and 11:59. */
export function defaultVerify(name: string): string {
  const { hour, minute } = slotOf(`verify/${name}`, VERIFY_FROM_HOUR);
  return `${minute} ${hour} * * *`;
}

/** Daily, between 16:00 and 19:59: a backup of the month that was verified in the morning is copied then. */
export function defaultSnapshot(name: string): string {
  const { hour, minute } = slotOf(`snapshot/${name}`, SNAPSHOT_FROM_HOUR);
  return `${minute} ${hour} * * *`;
}

/** Monthly, on one of the first 28 days, between 12:00 and 15:59. */
export function defaultDrill(name: string): string {
  const { hour, minute } = slotOf(`drill/${name}`, DRILL_FROM_HOUR);
  return `${minute} ${hour} ${1 + (hashOf(`drill day/${name}`) % 28)} * *`;
}

/**
 * Full on Sunday between 20:00 and 23:59, and a differential every so many hours (a divisor of 24) besides.
 * `everyDay` are the differentials beside a full at another time.
 */
export function defaultPhysical(
  name: string,
  everyHours: number,
): { full: string[]; diff: string[]; everyDay: string[] } {
  const { hour, minute } = slotOf(`physical/${name}`, PHYSICAL_FROM_HOUR);
  const hours: number[] = [];
  for (let step = 0; step < 24; step += everyHours) hours.push((hour + step) % 24);
  const sorted = (list: number[]) => list.toSorted((a, b) => a - b).join(',');
  const diff = [`${minute} ${sorted(hours)} * * 1-6`];
  // On Sunday the full takes the place of the differential of its hour: the tool allows one backup at a time.
  const others = hours.filter((each) => each !== hour);
  if (others.length > 0) diff.push(`${minute} ${sorted(others)} * * 0`);
  return { full: [`${minute} ${hour} * * 0`], diff, everyDay: [`${minute} ${sorted(hours)} * * *`] };
}

function slotOf(key: string, fromHour: number): { hour: number; minute: number } {
  const offset = hashOf(key) % WINDOW_MINUTES;
  return { hour: fromHour + Math.floor(offset / 60), minute: offset % 60 };
}

/** FNV-1a with 32 bits, with the finish of MurmurHash 3: without it, names that differ in a digit land side by side. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
