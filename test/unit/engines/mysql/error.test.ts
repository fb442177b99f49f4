import { describe, expect, test } from 'vitest';
import { refusalOf, serverError } from '../../../../src/engines/mysql/error.ts';
import type { ServerAccess } from '../../../../src/model/access.ts';
import { HoldfastError } from '../../../../src/model/failure.ts';

const access: ServerAccess = {
  ...{ host: 'db1', port: 3306, user: 'backup', password: 'a-secret-of-ours', database: 'shop' },
  tls: { ca: null, serverName: null },
};

function refused(errno: number, sqlState: string, message: string) {
  return Object.assign(new Error(message), { errno, sqlState, code: 'ER_SOMETHING', sql: "x = 'a row'" });
}

describe('errors of a server', () => {
  test.each([
    [1045, '28000', "Access denied for user 'backup'@'h' (using password: YES)", 'AuthenticationFailed'],
    [1044, '42000', "Access denied for user 'backup'@'h' to database 'shop'", 'PermissionDenied'],
    [1227, '42000', 'Access denied; you need (at least one of) the RELOAD privilege(s)', 'PermissionDenied'],
    [1142, '42000', "SELECT command denied to user 'backup'@'h' for table 't'", 'PermissionDenied'],
    [1049, '42000', "Unknown database 'shop'", 'InvalidConfiguration'],
    [1205, 'HY000', 'Lock wait timeout exceeded; try restarting transaction', 'LockNotAvailable'],
    [1213, '40001', 'Deadlock found when trying to get lock', 'LockNotAvailable'],
    [1114, 'HY000', "The table 't' is full", 'NotEnoughSpace'],
    [1026, 'HY000', "Error writing file '/x' (Errcode: 28 - No space left on device)", 'NotEnoughSpace'],
    [1040, '08004', 'Too many connections', 'ConnectionFailed'],
    [1053, '08S01', 'Server shutdown in progress', 'ConnectionFailed'],
    [1062, '23000', "Duplicate entry 'a row' for key 'PRIMARY'", 'ToolFailed'],
    [1064, '42000', "You have an error near 'a row' at line 1", 'ToolFailed'],
    [1146, '42S02', "Table 'shop.orders' doesn't exist", 'ToolFailed'],
  ])('%i is %s', (errno, sqlState, message, type) => {
    const error = serverError(refused(errno, sqlState, message), access) as HoldfastError;
    expect(error).toMatchObject({ name: 'HoldfastError', type });
    expect(refusalOf(error)).toBe(errno);
    const everything = `${error.message} ${error.hint} ${JSON.stringify(error.cause)} ${String(error.cause)}`;
    expect(everything).not.toMatch(/a row|a-secret/);
  });

  test('names that are missing are told, with what right', () => {
    const missing = "Table 'shop.orders' doesn't exist";
    expect(serverError(refused(1146, '42S02', missing), access)).toMatchObject({
      message: expect.stringContaining('shop.orders'),
    });
    const right = 'Access denied; you need (at least one of) the RELOAD privilege(s) for this operation';
    expect(serverError(refused(1227, '42000', right), access)).toMatchObject({
      message: expect.stringContaining('RELOAD'),
    });
  });

  test.each(['ECONNREFUSED', 'PROTOCOL_CONNECTION_LOST', 'ERR_TLS_CERT_ALTNAME_INVALID', 'ENOENT'])(
    '%s is ConnectionFailed',
    (code) => {
      const error = Object.assign(new Error('x'), { code });
      expect(serverError(error, access)).toMatchObject({ type: 'ConnectionFailed' });
    },
  );

  test('what is known already, and what is no error of the server, stays', () => {
    const known = new HoldfastError('PlanChanged', 'x');
    expect(serverError(known, access)).toBe(known);
    const own = new RangeError('x');
    expect(serverError(own, access)).toBe(own);
    expect(refusalOf(own)).toBeNull();
  });
});
