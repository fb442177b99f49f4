import { describe, expect, it } from 'vitest';
import { classify } from '../../../../../src/engines/mysql/binlog/statement.ts';
import type { Transaction } from '../../../../../src/engines/mysql/binlog/transaction.ts';
import { changeOf } from '../../../../../src/engines/mysql/find/table-change.ts';

function transactionOf(...statements: string[]): Transaction {
  const all = statements.map((sql) =>
    classify({ sql, db: 'shop', hasAnsiQuotes: false, isCut: false, isLoad: false }),
  );
  return {
    ...{ start: 4, end: 5, gtid: null, serverId: 1, committedAt: 0n, committedAtText: '', isExact: true },
    ...{ isComplete: true, isRolledBack: false, statements: all.length, tables: [], isCut: false },
    ddl: all.filter(({ kind }) => kind !== 'data'),
    dataStatements: all.filter(({ kind }) => kind === 'data'),
    ...{ xa: null, incident: null },
  };
}

const changed = (...statements: string[]) => {
  const change = changeOf(transactionOf(...statements), { table: 'shop.orders', db: 'shop' });
  return change && [change.whole, change.partitions !== null, change.isFolded];
};

describe('what statements did to a table', () => {
  it.each<[string, ReturnType<typeof changed>]>([
    ['TRUNCATE TABLE orders', ['truncated', false, false]],
    ['TRUNCATE `orders2`', null],
    ['DROP TABLE IF EXISTS x, shop.orders', ['dropped', false, false]],
    ['DROP TEMPORARY TABLE orders', null],
    ['DROP DATABASE shop', ['dropped', false, false]],
    ['DROP DATABASE other', null],
    ['CREATE TABLE orders (id INT)', null],
    ['CREATE OR REPLACE TABLE orders (id INT)', ['dropped', false, false]],
    ['RENAME TABLE orders TO away', ['dropped', false, false]],
    ['RENAME TABLE orders TO o2, fresh TO orders', ['rewritten', false, false]],
    ['ALTER TABLE orders RENAME TO away', ['dropped', false, false]],
    ['ALTER TABLE fresh RENAME orders', ['rewritten', false, false]],
    ['ALTER TABLE orders ENGINE = InnoDB', ['rewritten', false, false]],
    ['ALTER TABLE orders DROP PARTITION p1, p2', ['dropped', true, false]],
    ['ALTER TABLE orders TRUNCATE PARTITION p1', ['truncated', true, false]],
    ['ALTER TABLE orders TRUNCATE PARTITION ALL', ['truncated', false, false]],
    ['ALTER TABLE orders EXCHANGE PARTITION p1 WITH TABLE old', ['truncated', true, false]],
    ['ALTER TABLE old EXCHANGE PARTITION p1 WITH TABLE orders', ['truncated', false, false]],
    ['ALTER TABLE orders DISCARD TABLESPACE', ['dropped', false, false]],
    ['truncate ORDERS', ['truncated', false, true]],
    ['DELETE FROM orders', ['truncated', false, false]],
    ['DELETE FROM orders WHERE id = 1', [null, false, false]],
    ['DELETE FROM other', null],
  ])('%s', (statement, expected) => {
    expect(changed(statement)).toEqual(expected);
  });

  it('takes the worst of several, and a whole table before a partition', () => {
    expect(
      changed('ALTER TABLE orders ADD x INT', 'ALTER TABLE orders DROP PARTITION p', 'DROP TABLE orders'),
    ).toEqual(['dropped', false, false]);
  });
});
