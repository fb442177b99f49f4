import { describe, expect, it } from 'vitest';
import { countMarks, DumpSplitter, type Piece } from '../../../../src/engines/mysql/dump-split.ts';

const HEAD = '-- MySQL dump\n/*!40101 SET NAMES utf8mb4 */;\n';
const END = '\n-- Dump completed on 2026-01-31 14:05:00\n';
const mark = (db: string) => `\n--\n-- Current Database: \`${db.replaceAll('`', '``')}\`\n--\n`;

/** Sections with their text, of a dump that arrives in pieces of this size. */
function split(
  text: string,
  databases: string[],
  options: { size?: number; marks?: Record<string, number>; views?: boolean } = {},
): { head: string; sections: [string, string][] } {
  const splitter = new DumpSplitter(databases, (name) => options.marks?.[name] ?? 0);
  const bytes = Buffer.from(text);
  const sections: [string, Buffer[]][] = [];
  const take = (pieces: Piece[]) => {
    for (const piece of pieces) {
      if ('bytes' in piece) sections.at(-1)?.[1].push(Buffer.from(piece.bytes));
      else sections.push([`${piece.begins.database} ${piece.begins.part}`, []]);
    }
  };
  const size = options.size ?? bytes.length;
  for (let at = 0; at < bytes.length; at += size) take(splitter.push(bytes.subarray(at, at + size)));
  take(splitter.end(options.views ?? false));
  return {
    head: splitter.head.toString(),
    sections: sections.map(([name, pieces]) => [name, Buffer.concat(pieces).toString()]),
  };
}

describe('a dump', () => {
  const text = `${HEAD}${mark('a')}one 😀${mark('b`c')}two${mark('a')}views${mark('b`c')}more${END}`;
  const whole = {
    head: HEAD,
    sections: [
      ['a tables', `${mark('a')}one 😀`],
      ['b`c tables', `${mark('b`c')}two`],
      ['a views', `${mark('a')}views`],
      ['b`c views', `${mark('b`c')}more${END}`],
    ],
  };

  it.each([1, 2, 3, 7, 26, 27, 28, 64, 1_000])(
    'is split wherever its bytes break, in pieces of %i',
    (size) => {
      expect(split(text, ['a', 'b`c'], { size, views: true })).toEqual(whole);
    },
  );

  it('may have no views', () => {
    expect(split(`${HEAD}${mark('a')}one${END}`, ['a']).sections).toEqual([
      ['a tables', `${mark('a')}one${END}`],
    ]);
  });

  it.each([1, 5, 1_000])(
    'is not split in a definition that looks like another db, in pieces of %i',
    (size) => {
      const body = `CREATE PROCEDURE p() BEGIN ${mark('b')} SELECT 1; ${mark('a')} END;;`;
      const dump = `${HEAD}${mark('a')}${body}${mark('b')}two${END}`;
      const { sections } = split(dump, ['a', 'b'], { size, marks: { a: countMarks(body) } });
      expect(sections).toEqual([
        ['a tables', `${mark('a')}${body}`],
        ['b tables', `${mark('b')}two${END}`],
      ]);
    },
  );

  it.each([
    ['has no end', `${HEAD}${mark('a')}one`, ['a']],
    ['has an end in the middle of a row', `${HEAD}${mark('a')}one${END}more`, ['a']],
    ['lacks a db', `${HEAD}${mark('a')}one${END}`, ['a', 'b']],
    ['has another db', `${HEAD}${mark('x')}one${END}`, ['a']],
    ['has dbs in another order', `${HEAD}${mark('b')}one${mark('a')}two${END}`, ['a', 'b']],
    ['has a db too many', `${HEAD}${mark('a')}${mark('a')}${mark('a')}${END}`, ['a']],
    ['has no db', `${HEAD}${'x'.repeat(70_000)}`, ['a']],
    ['has a name without an end', `${HEAD}\n--\n-- Current Database: \`${'x'.repeat(3_000)}`, ['a']],
  ])('is refused where it %s', (_, dump, databases) => {
    expect(() => split(dump, databases)).toThrow(expect.objectContaining({ type: 'BackupFailed' }));
  });

  it('is refused where views were expected, or more marks in its definitions', () => {
    const dump = `${HEAD}${mark('a')}one${END}`;
    expect(() => split(dump, ['a'], { views: true })).toThrow(/views/);
    expect(() => split(dump, ['a'], { marks: { a: 1 } })).toThrow(/not as mysqldump writes one/);
  });
});
