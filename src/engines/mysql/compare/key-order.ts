import type { Column } from './table.ts';

/** How the values of a key column sort on both servers and in a merge alike, as they are read as bytes. */
export type KeyOrder = 'integer' | 'bytes' | 'padded' | Alphabet;

type Alphabet = keyof typeof ALPHABETS;

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
/**
 * Collations that take no notice of case: their visible characters of ASCII in order (measured for each of
 * {@link alphabetOf}, both flavours). A language's own may put letters elsewhere, and is none of them.
 */
const ALPHABETS = {
  general: `!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`{|}~`,
  unicode: `\`^_-,;:!?.'"()[]{}@*/\\&#%+<=>|~$${LETTERS}`,
  uca: `_-,;:!?.'"()[]{}@*/\\&#%\`^+<=>|~$${LETTERS}`,
};

/** The place of a byte in an alphabet, from 1 on; 0: it is not in there. */
const PLACES = Object.fromEntries(
  Object.entries(ALPHABETS).map(([name, characters]) => {
    const places = new Uint8Array(256);
    for (const [at, character] of [...characters].entries()) {
      places[character.charCodeAt(0)] = at + 1;
      places[character.toLowerCase().charCodeAt(0)] = at + 1;
    }
    return [name, places];
  }),
) as Record<Alphabet, Uint8Array>;

const INTEGERS = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'year']);
/** Of a fixed width in one column, so that their text sorts as they do; sessions are in UTC. */
const DATES = new Set(['date', 'datetime', 'timestamp']);
/** A space is one byte in these, and texts sort as their bytes do. */
const CHARSETS = new Set(['ascii', 'latin1', 'utf8', 'utf8mb3', 'utf8mb4']);

const SPACE = 0x20;
const MINUS = 0x2d;

/**
 * The order of a key column; null: only the server knows which values are equal. A `_bin` collation compares bytes, and
 * takes trailing spaces for nothing unless it is one without padding (source: MySQL manual, "The binary Collation
 * Compared to _bin Collations"; MariaDB's are called `_nopad_bin`). Of some others the order of ASCII is known, which most
 * keys are of; whether these are, {@link isOrderable} says of each row.
 */
export function keyOrder({ type, charset, collation }: Column): KeyOrder | null {
  if (INTEGERS.has(type)) return 'integer';
  if (DATES.has(type) || type === 'binary' || type === 'varbinary') return 'bytes';
  if ((type !== 'char' && type !== 'varchar') || charset === null || collation === null) return null;
  if (!CHARSETS.has(charset)) return null;
  if (!collation.endsWith('_bin')) return alphabetOf(collation);
  return /_(?:0900|nopad)_bin$/.test(collation) ? 'bytes' : 'padded';
}

function alphabetOf(collation: string): Alphabet | null {
  const name = collation.replace('_nopad', '');
  if (/^(?:ascii|utf8|utf8mb3|utf8mb4)_general_ci$|^latin1_swedish_ci$/.test(name)) return 'general';
  if (/^utf8(?:mb[34])?_unicode(?:_520)?_ci$/.test(name)) return 'unicode';
  return /^utf8mb[34]_(?:0900|uca1400)_a[is]_ci$/.test(name) ? 'uca' : null;
}

const placesOf = (order: KeyOrder): Uint8Array | undefined =>
  (PLACES as Partial<Record<KeyOrder, Uint8Array>>)[order];

/** Whether the order of all values of a key is known. */
export function isOrderable(orders: readonly KeyOrder[], key: readonly (Buffer | null)[]): boolean {
  for (let at = 0; at < orders.length; at += 1) {
    const places = placesOf(orders[at] as KeyOrder);
    if (places === undefined) continue;
    for (const byte of key[at] as Buffer) if (places[byte] === 0) return false;
  }
  return true;
}

/** Compares two keys, column by column; what stands behind them in a row does not count. */
export function compareKeys(
  orders: readonly KeyOrder[],
  left: readonly (Buffer | null)[],
  right: readonly (Buffer | null)[],
): number {
  for (let at = 0; at < orders.length; at += 1) {
    const result = compareValues(orders[at] as KeyOrder, left[at] as Buffer, right[at] as Buffer);
    if (result !== 0) return result;
  }
  return 0;
}

function compareValues(order: KeyOrder, left: Buffer, right: Buffer): number {
  if (order === 'integer') return compareIntegers(left, right);
  if (order === 'bytes') return Buffer.compare(left, right);
  const places = placesOf(order);
  return places === undefined ? comparePadded(left, right) : compareLetters(places, left, right);
}

function compareLetters(places: Uint8Array, left: Buffer, right: Buffer): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const difference = (places[left[at] as number] as number) - (places[right[at] as number] as number);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** As digits: a number of JavaScript does not hold all of a BIGINT. ZEROFILL is of one width in a column, or longer. */
function compareIntegers(left: Buffer, right: Buffer): number {
  const minus = left[0] === MINUS;
  if (minus !== (right[0] === MINUS)) return minus ? -1 : 1;
  const longer = left.length - right.length || compareDigits(left, right);
  return minus ? -longer : longer;
}

/** Of the same length; for so few bytes faster than a call out of JavaScript. */
function compareDigits(left: Buffer, right: Buffer): number {
  for (let at = 0; at < left.length; at += 1) {
    const difference = (left[at] as number) - (right[at] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** As if the shorter one had spaces up to the length of the other. */
function comparePadded(left: Buffer, right: Buffer): number {
  const length = Math.max(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const difference = (left[at] ?? SPACE) - (right[at] ?? SPACE);
    if (difference !== 0) return difference;
  }
  return 0;
}
