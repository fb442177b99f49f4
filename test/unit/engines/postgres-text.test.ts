import { describe, expect, it } from 'vitest';
import { shellQuote } from '../../../src/engines/instructions/shell.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../../../src/engines/postgres/identifier.ts';
import { noticesOf } from '../../../src/engines/postgres/programs.ts';
import { parseRowHash, rowHashExpression, rowHashOf } from '../../../src/engines/postgres/row-hash.ts';
import { canonicalExpression } from '../../../src/engines/postgres/schema.ts';

describe('quoting', () => {
  it('of identifiers and literals', () => {
    expect(quoteIdentifier('a"b')).toBe('"a""b"');
    expect(quoteQualified(['Order', 'x.y'])).toBe('"Order"."x.y"');
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral("a\\'")).toBe(" E'a\\\\'''");
    expect(() => quoteIdentifier('a\0')).toThrow(RangeError);
  });

  it('of shell words', () => {
    expect(shellQuote('a/b-1.zst')).toBe('a/b-1.zst');
    expect(shellQuote("it's $HOME")).toBe("'it'\\''s $HOME'");
  });
});

it('expressions that PostgreSQL writes differently after a restore are the same', () => {
  const before = `CHECK (((vc)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))`;
  const after = `CHECK (((vc)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))`;
  expect(canonicalExpression(before)).toBe(canonicalExpression(after));
  expect(canonicalExpression(before)).not.toBe(canonicalExpression(before.replace("'b'", "'c'")));
  expect(canonicalExpression('x::numeric(5,2) + y::timestamp(3) without time zone')).toBe('x + y');
});

describe('the row hash', () => {
  const columns = [
    { name: 'id', typeOid: 20 },
    { name: 'na"me', typeOid: 25 },
    { name: 'mood', typeOid: 99_999 },
  ];

  it('casts what hangs on OIDs or collations', () => {
    expect(rowHashExpression(columns, 'hash_record_extended+sum', 'r')).toBe(
      'pg_catalog.hash_record_extended(ROW("r"."id", "r"."na""me" COLLATE pg_catalog."C", "r"."mood"::pg_catalog.text COLLATE pg_catalog."C"), 0)',
    );
  });

  it('is another one before 14, and an unknown one is refused', () => {
    expect(rowHashOf(13)).toBe('hashtextextended+sum');
    expect(rowHashOf(14)).toBe('hash_record_extended+sum');
    expect(() => parseRowHash('md5')).toThrow('not known here');
  });
});

it.each([
  ['17.10', 1],
  ['17.11', 0],
  ['15.19', 0],
  ['15.18', 1],
  ['13.23', 1],
  ['18.6', 0],
  ['19.0', 0],
])('client %s gives %i notices', (version, count) => {
  expect(noticesOf({ version, major: Number.parseInt(version, 10) })).toHaveLength(count);
});
