/** A name as SQL needs it, always in double quotes: reserved words and capitals need no special case. */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0')) throw new RangeError('an identifier may not be empty or hold NUL');
  return `"${name.replaceAll('"', '""')}"`;
}

/** `"schema"."table"` of its parts. */
export function quoteQualified(parts: readonly string[]): string {
  return parts.map(quoteIdentifier).join('.');
}

/** A text literal that means the same whatever `standard_conforming_strings` is. */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new RangeError('a literal may not hold NUL');
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}
