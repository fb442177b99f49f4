import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { optionText, writeOptionFile } from '../../../../src/engines/mysql/option-file.ts';

const access = {
  host: 'db.example',
  port: 3306,
  user: 'u',
  password: 'a"b\\c#d \n',
  database: 'shop',
  tls: null,
};
const tls = { ca: 'PEM', serverName: null };

it('quotes whatever a password may hold', () => {
  expect(optionText(access, 'mariadb', '/ca')).toBe(
    '[client]\nuser="u"\npassword="a\\"b\\\\c#d \\n"\nprotocol="tcp"\nhost="db.example"\nport="3306"\nskip-ssl\n',
  );
});

it('verifies the server wherever there is TLS, and names the socket where there is one', () => {
  expect(optionText({ ...access, tls }, 'mysql', '/ca')).toContain(
    'ssl-mode="VERIFY_IDENTITY"\nssl-ca="/ca"',
  );
  expect(optionText({ ...access, tls }, 'mariadb', '/ca')).toContain(
    'ssl\nssl-verify-server-cert\nssl-ca="/ca"',
  );
  const local = optionText({ ...access, host: '/run/mysqld', password: null }, 'mysql', '/ca');
  expect(local).toContain('protocol="socket"\nsocket="/run/mysqld/mysqld.sock"');
  expect(local).not.toContain('password');
});

it('refuses what the programs cannot check', () => {
  const other = { ...access, tls: { ca: null, serverName: 'other' } };
  expect(() => optionText(other, 'mysql', '/ca')).toThrow(
    expect.objectContaining({ type: 'InvalidConfiguration' }),
  );
});

it('is for nobody else to read, and gone when it is removed', async () => {
  const file = await writeOptionFile({ ...access, tls }, 'mysql');
  const path = file.argument.replace('--defaults-file=', '');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
  await file.remove();
  await file.remove();
  await expect(stat(dirname(path))).rejects.toThrow(/ENOENT/);
});
