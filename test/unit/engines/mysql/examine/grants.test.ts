import { expect, it } from 'vitest';
import { holds, parseGrants } from '../../../../../src/engines/mysql/examine/grants.ts';

it('rights on everything and on dbs are told apart; those on tables, columns and routines are left out', () => {
  const grants = parseGrants([
    "GRANT SELECT, LOCK TABLES ON *.* TO `holdfast`@`%` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION",
    'GRANT BACKUP_ADMIN ON *.* TO `holdfast`@`%`',
    'GRANT ALL PRIVILEGES ON `shop`.* TO `holdfast`@`%`',
    'GRANT TRIGGER ON `a``.b`.* TO `holdfast`@`%`',
    'GRANT EVENT, SELECT (`a`, `b`) ON `shop`.`orders` TO `holdfast`@`%`',
    'GRANT PROXY ON ``@`` TO `holdfast`@`%`',
    'GRANT `reader`@`%` TO `holdfast`@`%`',
  ]);
  expect([...grants.everywhere]).toEqual(['SELECT', 'LOCK TABLES', 'BACKUP_ADMIN']);
  expect([...grants.inDb].map(([db, rights]) => [db, [...rights]])).toEqual([
    ['shop', ['ALL PRIVILEGES']],
    ['a`.b', ['TRIGGER']],
  ]);
});

it('a right is had on everything, or on each of the dbs', () => {
  const grants = parseGrants([
    'GRANT SELECT, BINLOG MONITOR ON *.* TO `u`@`%`',
    'GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`',
    'GRANT TRIGGER ON `ware%`.* TO `u`@`%`',
    'GRANT TRIGGER ON `a\\_b`.* TO `u`@`%`',
  ]);
  expect(holds(grants, ['SELECT'], null)).toBe(true);
  expect(holds(grants, ['REPLICATION CLIENT', 'BINLOG MONITOR'], null)).toBe(true);
  expect(holds(grants, ['TRIGGER'], null)).toBe(false);
  expect(holds(grants, ['TRIGGER'], ['shop', 'warehouse', 'a_b'])).toBe(true);
  // The name of a db that is a pattern is one only without a backslash.
  expect(holds(grants, ['TRIGGER'], ['shop', 'axb'])).toBe(false);
  expect(holds(grants, ['TRIGGER'], [])).toBe(false);
  expect(holds(grants, ['EVENT'], ['shop', 'warehouse'])).toBe(false);
});

it('ALL PRIVILEGES has them all', () => {
  const grants = parseGrants(['GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION']);
  expect(holds(grants, ['RELOAD'], null)).toBe(true);
});
