import { describe, expect, it, test } from 'vitest';
import {
  describeNeeds,
  type Grants,
  grantStatements,
  has,
  type Need,
  parseGrants,
} from '../../../../src/engines/mysql/grants.ts';

const grantsOf = (lines: readonly string[], more: Partial<Grants> = {}): Grants => ({
  ...parseGrants(lines),
  ...{ account: "'u'@'%'", hasPatterns: true, isSpecific: true },
  ...more,
});

const need = (right: string, on: Need['on'], more: Partial<Need> = {}): Need => ({
  rights: [right],
  on,
  ...more,
});

it('reads rights on everything, dbs, tables and columns; those of routines, proxies and roles are left out', () => {
  const grants = parseGrants([
    "GRANT SELECT, LOCK TABLES ON *.* TO `holdfast`@`%` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION",
    'GRANT BACKUP_ADMIN,SET_USER_ID ON *.* TO `holdfast`@`%`',
    'GRANT ALL PRIVILEGES ON `shop`.* TO `holdfast`@`%`',
    'GRANT TRIGGER ON `a``.b`.* TO `reader`',
    'GRANT EVENT, SELECT (`a`, `b, ``c)`), REFERENCES (`Id`) ON `shop`.`or``ders` TO `holdfast`@`%`',
    'GRANT INSERT ON `open`.* TO PUBLIC',
    'GRANT PROXY ON ``@`` TO `holdfast`@`%`',
    'GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `holdfast`@`%`',
    'GRANT `reader`@`%` TO `holdfast`@`%`',
    'SET DEFAULT ROLE `reader` FOR `holdfast`@`%`',
    'REVOKE SELECT, DELETE ON `ledger`.* FROM `holdfast`@`%`',
  ]);
  expect(grants).toEqual({
    everywhere: new Set(['SELECT', 'LOCK TABLES', 'BACKUP_ADMIN', 'SET_USER_ID']),
    revoked: new Map([['ledger', new Set(['SELECT', 'DELETE'])]]),
    inDb: [
      { to: '`holdfast`@`%`', pattern: 'shop', rights: new Set(['ALL PRIVILEGES']) },
      { to: '`reader`', pattern: 'a`.b', rights: new Set(['TRIGGER']) },
      { to: 'PUBLIC', pattern: 'open', rights: new Set(['INSERT']) },
    ],
    onTable: [
      {
        parts: ['shop', 'or`ders'],
        rights: new Set(['EVENT']),
        columns: new Map([
          ['SELECT', new Set(['a', 'b, `c)'])],
          ['REFERENCES', new Set(['id'])],
        ]),
      },
    ],
  });
});

describe('a right', () => {
  test('is had on everything, on the db, on the table, or on each of the columns', () => {
    const grants = grantsOf([
      'GRANT SELECT, BINLOG MONITOR ON *.* TO `u`@`%`',
      'GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`',
      'GRANT INSERT (`a`, `b`), DELETE ON `stock`.`t` TO `u`@`%`',
    ]);
    expect(has(grants, need('SELECT', null))).toBe(true);
    expect(has(grants, { rights: ['REPLICATION CLIENT', 'BINLOG MONITOR'], on: null })).toBe(true);
    expect(has(grants, need('INSERT', null))).toBe(false);
    expect(has(grants, need('TRIGGER', ['shop']))).toBe(true);
    expect(has(grants, need('TRIGGER', ['shop', 'any']))).toBe(true);
    expect(has(grants, need('DELETE', ['stock']))).toBe(false);
    expect(has(grants, need('DELETE', ['stock', 't']))).toBe(true);
    expect(has(grants, need('DELETE', ['stock', 'T']))).toBe(false);
    expect(has(grants, need('INSERT', ['stock', 't']))).toBe(false);
    expect(has(grants, need('INSERT', ['stock', 't'], { columns: ['B', 'a'] }))).toBe(true);
    expect(has(grants, need('INSERT', ['stock', 't'], { columns: ['a', 'c'] }))).toBe(false);
    expect(has(grants, need('INSERT', ['stock', 't'], { anyColumn: true }))).toBe(true);
    expect(has(grants, need('UPDATE', ['stock', 't'], { anyColumn: true }))).toBe(false);
  });

  test.each<[string, boolean]>([
    ['GRANT ALL PRIVILEGES ON *.* TO `u`@`%`', true],
    ['GRANT SELECT, TRIGGER ON `shop`.* TO `u`@`%`', true],
    ['GRANT SELECT, TRIGGER ON `sh__`.* TO `u`@`%`', true],
    ['GRANT SELECT, TRIGGER ON `sh\\_p`.* TO `u`@`%`', false],
    ['GRANT SELECT, TRIGGER ON `s%`.* TO `u`@`%` WITH GRANT OPTION', true],
    ['GRANT TRIGGER ON `shop`.`orders` TO `u`@`%`', true],
    ['GRANT TRIGGER ON `shop`.`order` TO `u`@`%`', false],
    ['GRANT TRIGGER ON `sho_`.`orders` TO `u`@`%`', false],
    ['GRANT SELECT ON *.* TO `u`@`%`', false],
    ['GRANT `TRIGGER`@`%` TO `u`@`%`', false],
  ])('by %s on a table: %s', (line, gives) => {
    expect(has(grantsOf([line]), need('TRIGGER', ['shop', 'orders']))).toBe(gives);
  });

  test('that was revoked in a db is had everywhere else, and where a grant gives it again', () => {
    const grants = grantsOf([
      'GRANT SELECT, INSERT ON *.* TO `u`@`%`',
      'REVOKE INSERT ON `ledger`.* FROM `u`@`%`',
      'GRANT INSERT ON `ledger`.`drafts` TO `u`@`%`',
    ]);
    expect(has(grants, need('INSERT', ['shop']))).toBe(true);
    expect(has(grants, need('INSERT', ['ledger']))).toBe(false);
    expect(has(grants, need('SELECT', ['ledger']))).toBe(true);
    expect(has(grants, need('INSERT', ['ledger', 'drafts']))).toBe(true);
  });
});

describe('of several patterns that fit a db', () => {
  const lines = [
    'GRANT INSERT ON `shop%`.* TO `u`@`%`',
    'GRANT UPDATE ON `sh%`.* TO `u`@`%`',
    'GRANT DELETE ON `shop\\_1`.* TO `u`@`%`',
    'GRANT CREATE ON `sho%`.* TO `role`',
  ];
  const hadIn = (db: string, grants: Grants) =>
    ['INSERT', 'UPDATE', 'DELETE', 'CREATE'].filter((right) => has(grants, need(right, [db])));

  test('the most specific one counts, for each to whom they were granted', () => {
    const grants = grantsOf(lines);
    expect(hadIn('shop_1', grants)).toEqual(['DELETE', 'CREATE']);
    expect(hadIn('shop_2', grants)).toEqual(['INSERT', 'CREATE']);
    expect(hadIn('shy', grants)).toEqual(['UPDATE']);
  });

  test('all of them, where nobody can know which one does', () => {
    expect(hadIn('shop_1', grantsOf(lines, { isSpecific: false }))).toEqual([
      ...['INSERT', 'UPDATE', 'DELETE', 'CREATE'],
    ]);
  });

  test('none is one, where the server takes names as they are', () => {
    expect(hadIn('shop_1', grantsOf(lines, { hasPatterns: false }))).toEqual([]);
    expect(hadIn('shop%', grantsOf(lines, { hasPatterns: false }))).toEqual(['INSERT']);
  });
});

describe('the statements that grant what is lacking', () => {
  const lacking = [
    need('CREATE', ['shop_1']),
    need('DROP', ['shop_1']),
    need('INSERT', ['a`b', 't']),
    need('SUPER', null),
  ];

  test('are one for each place, with names as the server wants them', () => {
    expect(grantStatements(grantsOf([]), lacking)).toEqual([
      "GRANT CREATE, DROP ON `shop\\_1`.* TO 'u'@'%'",
      "GRANT INSERT ON `a``b`.`t` TO 'u'@'%'",
      "GRANT SUPER ON *.* TO 'u'@'%'",
    ]);
    expect(grantStatements(grantsOf([], { hasPatterns: false }), lacking)[0]).toContain('ON `shop_1`.* TO');
    expect(describeNeeds(lacking)).toBe(
      'CREATE, DROP on db shop_1 and INSERT on a`b.t and SUPER on everything',
    );
  });

  test('name the pattern by which the user has its rights, whose place another grant would take', () => {
    const patterns = (lines: string[], more: Partial<Grants> = {}) =>
      grantStatements(grantsOf(lines, more), [need('CREATE', ['shop_1'])]);
    const lines = ['GRANT SELECT ON `shop%`.* TO `u`@`%`', 'GRANT EVENT ON `sh%`.* TO `u`@`%`'];
    const [most, least] = ["GRANT CREATE ON `shop%`.* TO 'u'@'%'", "GRANT CREATE ON `sh%`.* TO 'u'@'%'"];
    expect(patterns(lines)).toEqual([most]);
    expect(patterns(lines, { isSpecific: false })).toEqual([most, least]);
    const exact = "GRANT CREATE ON `shop\\_1`.* TO 'u'@'%'";
    expect(patterns([...lines, 'GRANT SELECT ON `shop\\_1`.* TO `u`@`%`'])).toEqual([exact]);
    expect(patterns(['GRANT EVENT ON `sho%`.* TO `role`'])).toEqual([exact]);
  });
});
