import { expect, it } from 'vitest';
import {
  parseHashSum,
  parseRowHash,
  rowHashSql,
  type TableColumn,
} from '../../../../src/engines/mysql/row-hash.ts';
import { schemaText } from '../../../../src/engines/mysql/schema.ts';

const column = (name: string, type: string, more: Partial<TableColumn> = {}): TableColumn => ({
  ...{ name, type, fullType: type, charset: null, collation: null, nullable: true, generated: null },
  ...{ invisible: false, autoIncrement: false, ...more },
});

it('leaves generated columns out, takes invisible ones in, and names the table where it is asked to', () => {
  const sql = rowHashSql(
    [
      column('a', 'int'),
      column('b', 'int', { generated: 'stored' }),
      column('c', 'int', { invisible: true }),
    ],
    't',
  );
  expect(sql).toContain('`t`.`a`');
  expect(sql).toContain('`t`.`c`');
  expect(sql).not.toContain('`b`');
  expect(rowHashSql([column('b', 'int', { generated: 'virtual' })])).toContain("SHA2('', 256)");
});

it('refuses a hash that it does not know, and a sum of rows that could not be hashed', () => {
  expect(() => parseRowHash('md5+sum')).toThrow(expect.objectContaining({ type: 'NotSupported' }));
  expect(parseHashSum('18446744073709551615000', 'shop.t')).toBe('18446744073709551615000');
  const broken = String(10n ** 39n - 1n + 5n);
  expect(() => parseHashSum(broken, 'shop.t')).toThrow(expect.objectContaining({ type: 'CheckFailed' }));
});

it('writes a definition the same before and after a restore', () => {
  const table = (text: string) => schemaText([{ kind: 'table', name: 't', context: '', text }]).text;
  const before =
    'CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `c` char(1) COLLATE latin1_german1_ci,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=latin1\n/*!50100 PARTITION BY HASH (`id`)\nPARTITIONS 2 */';
  const after =
    'CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `c` char(1) CHARACTER SET latin1 COLLATE latin1_german1_ci,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB DEFAULT CHARSET=latin1\nPARTITION BY HASH (`id`) PARTITIONS 2';
  expect(table(after)).toBe(table(before));
  expect(table(before)).toContain('column | t.c | 2 char(1) COLLATE latin1_german1_ci\n');
  expect(table(before)).toContain('table | t | ENGINE=InnoDB DEFAULT CHARSET=latin1 PARTITION BY HASH');
});
