/** A name as SQL needs it, always in backquotes: reserved words and capitals need no special case. */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0')) throw new RangeError('an identifier may not be empty or hold NUL');
  return `\`${name.replaceAll('`', '``')}\``;
}

/** `db`.`table` of its parts. */
export function quoteTable(parts: readonly string[]): string {
  return parts.map(quoteIdentifier).join('.');
}

/**
 * A text literal that means the same whatever `sql_mode` (NO_BACKSLASH_ESCAPES, ANSI_QUOTES) and the character set of
 * the session are: a text with anything but printable ASCII, or with a backslash or double quote, is written in hex.
 * Source: "Character Set Introducers" of MySQL's manual.
 */
export function quoteLiteral(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text) && !/["\\]/.test(text)) return `'${text.replaceAll("'", "''")}'`;
  return `_utf8mb4 0x${Buffer.from(text, 'utf8').toString('hex')}`;
}

/** Bytes as a literal; of none, which hex cannot write, too. */
export function quoteBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return "_binary ''";
  return `_binary 0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}
