import { expect, it } from 'vitest';
import { dumpFailure } from '../../../../src/engines/mysql/dump-failure.ts';

it.each([
  [
    'mysqldump: Error 1412: Table definition has changed, please retry transaction when dumping table `t` at row: 0',
    'BackupFailed',
  ],
  [
    "mariadb-dump: Couldn't execute 'show create table `t`': Table 'shop.t' doesn't exist (1146)",
    'BackupFailed',
  ],
  [
    "mysqldump: Got error: 1045: Access denied for user 'u'@'h' (using password: YES) when trying to connect",
    'AuthenticationFailed',
  ],
  [
    "mysqldump: Couldn't execute 'FLUSH TABLES': Access denied; you need the RELOAD privilege (1227)",
    'PermissionDenied',
  ],
  ['mysqldump: u has insufficent privileges to SHOW CREATE PROCEDURE `p`!', 'PermissionDenied'],
  ['mysqldump: u has insufficient privileges to SHOW CREATE PROCEDURE `p`!', 'PermissionDenied'],
  [
    'mysqldump: Error 2013: Lost connection to server during query when dumping table `t` at row: 5',
    'ConnectionFailed',
  ],
  [
    "mariadb-dump: Got error: 2002: \"Can't connect to server on 'h' (111)\" when trying to connect",
    'ConnectionFailed',
  ],
  [
    "mysqldump: Got error: 2059: Authentication plugin 'mysql_native_password' cannot be loaded when trying to connect",
    'ToolMissing',
  ],
  ['mysqldump: something new', 'ToolFailed'],
])('%s', (line, type) => {
  const output = `-- Connecting to h...\nmysqldump: [Warning] insecure\n${line}\n-- more`;
  expect(dumpFailure({ exitCode: 2, output })).toMatchObject({ type });
});

it('leaves what the program did not say to others', () => {
  expect(dumpFailure({ exitCode: null, output: 'mysqldump: x' })).toBeUndefined();
  expect(dumpFailure({ exitCode: 1, output: 'a shell: no such thing' })).toBeUndefined();
});
