import type { Column } from './compare/table.ts';
import { readValue } from './compare/values.ts';
import type { Row } from './connection.ts';
import { quoteIdentifier } from './identifier.ts';

const PIECE_BYTES = 64 * 1024;
const SPATIAL =
  /^(?:geometry|point|linestring|polygon|multi(?:point|linestring|polygon)|geom(?:etry)?collection)$/;

/** Bytes that are no text: written as hexadecimal digits. */
const isBinary = ({ type }: Column): boolean =>
  /(?:binary|blob)$/.test(type) || SPATIAL.test(type) || type === 'vector';

/** SQL for a value as the file has it: UTF-8, bytes in hexadecimal, bits as a number, numbers with all their digits. */
export function csvValue(column: Column, alias: string): string {
  const value = `${alias}.${quoteIdentifier(column.name)}`;
  if (isBinary(column)) return `HEX(${value})`;
  if (column.type === 'bit') return `${value} + 0`;
  // A FLOAT by itself is shown with six digits.
  return column.type === 'float' ? readValue(column, alias) : value;
}

export function csvNotices(table: string, columns: readonly Column[]): string[] {
  const names = (all: readonly Column[]) => all.map(({ name }) => name).join(', ');
  const binary = columns.filter(isBinary);
  const bits = columns.filter(({ type }) => type === 'bit');
  const stamps = columns.filter(({ type }) => type === 'timestamp');
  return [
    ...(binary.length > 0
      ? [`${table}: bytes are written as hexadecimal digits, which UNHEX reads: ${names(binary)}`]
      : []),
    ...(bits.length > 0 ? [`${table}: bits are written as numbers: ${names(bits)}`] : []),
    ...(stamps.length > 0 ? [`${table}: times of these columns are in UTC: ${names(stamps)}`] : []),
  ];
}

/** Lines of RFC 4180 as PostgreSQL's COPY writes them: NULL is nothing, an empty text is two double quotes. */
export class CsvLines {
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** Whether there is enough to be taken. */
  add(row: Row): boolean {
    for (const [at, value] of row.entries()) {
      if (at > 0) this.#push(COMMA);
      if (value !== null) this.#push(fieldOf(value));
    }
    this.#push(NEWLINE);
    return this.#bytes >= PIECE_BYTES;
  }

  take(): Buffer {
    const taken = Buffer.concat(this.#pieces, this.#bytes);
    this.#pieces = [];
    this.#bytes = 0;
    return taken;
  }

  #push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }
}

const COMMA = Buffer.from(',');
const NEWLINE = Buffer.from('\n');
const SPECIAL = [0x22, 0x2c, 0x0a, 0x0d];

function fieldOf(value: Buffer): Buffer {
  const isPlain = value.length > 0 && !SPECIAL.some((byte) => value.includes(byte));
  if (isPlain && !value.equals(END_OF_COPY)) return value;
  return Buffer.from(`"${value.toString('latin1').replaceAll('"', '""')}"`, 'latin1');
}

/** PostgreSQL's COPY takes it for the end of its input. */
const END_OF_COPY = Buffer.from('\\.');
