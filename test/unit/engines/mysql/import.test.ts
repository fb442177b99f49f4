import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { besideParts } from '../../../../src/engines/mysql/compare/beside.ts';
import type { TablePair } from '../../../../src/engines/mysql/compare/pair.ts';
import { renamed } from '../../../../src/engines/mysql/import/make-table.ts';
import {
  formatMarker,
  makingName,
  newMarker,
  parseMarker,
} from '../../../../src/engines/mysql/import/marker.ts';
import { decodeLines, encodeLine } from '../../../../src/engines/mysql/import/undo-data.ts';

describe('lines of undo data', () => {
  const value = fc.option(fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)));
  const lines = fc.array(fc.array(value, { minLength: 1, maxLength: 4 }), { maxLength: 8 });

  test('come back byte for byte, however they are cut into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(lines, fc.integer({ min: 1, max: 7 }), async (rows, size) => {
        const all = Buffer.concat(rows.map(encodeLine));
        const pieces: Buffer[] = [];
        for (let at = 0; at < all.length; at += size) pieces.push(all.subarray(at, at + size));
        const found = [];
        for await (const row of decodeLines(Readable.from(pieces))) found.push(row);
        expect(found).toEqual(rows);
      }),
    );
  });

  test('tell NULL from a text that looks like it', () => {
    expect(encodeLine([null, '\\N', '', 'a\tb\n']).toString()).toBe('\\N\t\\\\N\t\ta\\tb\\n\n');
  });
});

describe('a definition under another name', () => {
  const DEFINITION = [
    'CREATE TABLE `or``der` (',
    '  `id` int NOT NULL AUTO_INCREMENT,',
    "  `a` varchar(9) DEFAULT 'x) ENGINE' COMMENT 'CONSTRAINT `x` FOREIGN KEY (`a`)',",
    '  PRIMARY KEY (`id`),',
    '  CONSTRAINT `c``k` CHECK ((`id` > 0)),',
    '  CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`a`) ON DELETE CASCADE',
    ") ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=latin1 COMMENT='x' DATA DIRECTORY='/else/where'",
    '/*!50100 PARTITION BY HASH (`id`)',
    'PARTITIONS 2 */',
  ].join('\n');

  test('has everything but foreign keys and files of its own', () => {
    const whole = renamed(DEFINITION, '`d`.`n`', true);
    expect(whole.split('\n')[0]).toBe('CREATE TABLE `d`.`n` (');
    expect(whole).toContain('CHECK ((`id` > 0))\n) ENGINE');
    expect(whole).toContain("COMMENT 'CONSTRAINT `x` FOREIGN KEY (`a`)'");
    expect(whole).not.toMatch(/REFERENCES|DIRECTORY/);
    expect(whole).toMatch(/AUTO_INCREMENT=7[\s\S]*PARTITIONS 2 \*\/$/);
  });

  test('has no checks either where it stands beside the table', () => {
    expect(renamed(DEFINITION, '`n`', false)).toContain('PRIMARY KEY (`id`)\n) ENGINE');
  });
});

test('names of what an import makes fit, and lead back to each other', () => {
  const marker = newMarker('sh.op', 'copy1');
  expect(parseMarker(formatMarker(marker))).toEqual(marker);
  expect(makingName(marker, 2)).toMatch(/^holdfast_making_copy1_[0-9a-f]{8}_2$/);
  const pair = { parts: ['d', '🦆'.repeat(60)] } as unknown as TablePair;
  expect([...besideParts(pair, 'copy')[1]]).toHaveLength(64);
});
