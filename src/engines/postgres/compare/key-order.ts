import { quoteIdentifier } from '../identifier.ts';
import type { Column } from './relation.ts';

/** How the text of a key column sorts on both servers and in the merge alike. */
export type KeyOrder = 'integer' | 'numeric' | 'bytes';

const INTEGERS = new Set(['int2', 'int4', 'int8', 'oid']);
/** Types whose equal values always have equal text. For any other, the merge may call equal rows different. */
const EXACT = new Set(
  'int2 int4 int8 oid uuid text varchar bpchar name char numeric bool date time timestamp timestamptz bytea'.split(
    ' ',
  ),
);

export function keyOrder(column: Column): KeyOrder {
  if (INTEGERS.has(column.baseType)) return 'integer';
  return column.baseType === 'numeric' ? 'numeric' : 'bytes';
}

/** Whether equal keys are always written alike: not so for citext, intervals or a nondeterministic collation. */
export function isExact(column: Column): boolean {
  return (EXACT.has(column.baseType) || column.isEnum) && column.deterministic;
}

/**
 * SQL of a key column as it is written into a stream, and what to order by. Where the index has that order
 * (numbers, uuid, byte-ordered text) the bare column stands there, so that the index serves.
 */
export function keyExpression(column: Column, alias: string): { text: string; order: string } {
  const name = `${alias}.${quoteIdentifier(column.name)}`;
  if (INTEGERS.has(column.baseType) || column.baseType === 'uuid') return { text: name, order: name };
  if (column.baseType === 'numeric') return { text: `pg_catalog.trim_scale(${name})`, order: name };
  const isText = column.baseType === 'text' || column.baseType === 'varchar';
  if (isText && column.byteOrder) return { text: name, order: name };
  return { text: `${name}::pg_catalog.text`, order: `${name}::pg_catalog.text COLLATE pg_catalog."C"` };
}

const TAB = 0x09;
const MINUS = 0x2d;
const BACKSLASH = 0x5c;

/**
 * Compares two lines of COPY text (without their line ends) field by field. A backslash escape does not sort
 * like what it stands for, so fields with one are compared after decoding.
 */
export function compareKeyLines(orders: readonly KeyOrder[], left: Buffer, right: Buffer): number {
  let leftStart = 0;
  let rightStart = 0;
  for (const order of orders) {
    const leftEnd = fieldEnd(left, leftStart);
    const rightEnd = fieldEnd(right, rightStart);
    const result = compareField(
      order,
      left.subarray(leftStart, leftEnd),
      right.subarray(rightStart, rightEnd),
    );
    if (result !== 0) return result;
    leftStart = leftEnd + 1;
    rightStart = rightEnd + 1;
  }
  return 0;
}

function fieldEnd(line: Buffer, start: number): number {
  const tab = line.indexOf(TAB, start);
  return tab === -1 ? line.length : tab;
}

function compareField(order: KeyOrder, left: Buffer, right: Buffer): number {
  if (order === 'integer') return compareInteger(left, right);
  if (order === 'numeric') return compareNumeric(left.toString('latin1'), right.toString('latin1'));
  if (left.includes(BACKSLASH) || right.includes(BACKSLASH)) {
    return Buffer.compare(
      Buffer.from(decodeField(left.toString())),
      Buffer.from(decodeField(right.toString())),
    );
  }
  return Buffer.compare(left, right);
}

function compareInteger(left: Buffer, right: Buffer): number {
  const leftMinus = left[0] === MINUS;
  const rightMinus = right[0] === MINUS;
  if (leftMinus !== rightMinus) return leftMinus ? -1 : 1;
  const longer = left.length - right.length || Buffer.compare(left, right);
  return leftMinus ? -longer : longer;
}

/** PostgreSQL sorts -Infinity first, then numbers, Infinity, and NaN last. */
function compareNumeric(left: string, right: string): number {
  const rank = (text: string) => ['-Infinity', '', 'Infinity', 'NaN'].indexOf(/[A-Z]/.test(text) ? text : '');
  if (rank(left) !== rank(right)) return rank(left) - rank(right);
  if (left === right || rank(left) !== 1) return 0;
  const minus = left.startsWith('-');
  if (minus !== right.startsWith('-')) return minus ? -1 : 1;
  const [leftWhole = '', leftPart = ''] = left.split('.');
  const [rightWhole = '', rightPart = ''] = right.split('.');
  const larger =
    leftWhole.length - rightWhole.length ||
    (leftWhole < rightWhole
      ? -1
      : leftWhole > rightWhole
        ? 1
        : leftPart < rightPart
          ? -1
          : leftPart > rightPart
            ? 1
            : 0);
  return minus ? -larger : larger;
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** A field of COPY text as the value that it stands for (source: PostgreSQL documentation, COPY, text format). */
export function decodeField(field: string): string {
  if (!field.includes('\\')) return field;
  return field.replace(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}

const LETTERS: Record<string, string> = {
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

/** The opposite of {@link decodeField}, written as the server writes it. */
export function encodeField(value: string): string {
  return value.replace(/[\b\f\n\r\t\v\\]/g, (letter) => LETTERS[letter] ?? letter);
}
