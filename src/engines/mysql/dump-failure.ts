import { HoldfastError } from '../../model/failure.ts';

const CHANGED = [1049, 1051, 1054, 1146, 1305, 1356, 1412];
const PERMISSION = [1044, 1142, 1143, 1227, 1370];
const LOST = [1053, 1927, 2002, 2003, 2005, 2006, 2013, 2026, 2055];
const PLUGIN = [1156, 1251, 1524, 2058, 2059, 2061];

/** Errors of mysqldump and mariadb-dump, told from what they say: the server's number, and names of tables, never rows. */
export function dumpFailure(failure: { exitCode: number | null; output: string }): HoldfastError | undefined {
  const line = failure.output
    .split('\n')
    .find((text) => /^(?:mysqldump|mariadb-dump): (?!\[Warning\])/.test(text));
  if (failure.exitCode === null || line === undefined) return undefined;
  const said = line.replace(/^[\w-]+: /, '').slice(0, 300);
  // The number stands behind `Got error:` or `Error`, or in brackets at the end.
  const number = Number(/(?:error:? |Error )(\d{4})\b/.exec(said)?.[1] ?? /\((\d{4})\)/.exec(line)?.[1] ?? 0);
  const fail = (type: ConstructorParameters<typeof HoldfastError>[0], what: string, hint: string) =>
    new HoldfastError(type, `${what}: ${said}`, { hint });
  if (CHANGED.includes(number)) {
    const hint = 'it is tried again; keep migrations out of the backup window';
    return fail('BackupFailed', 'the definitions changed while they were dumped', hint);
  }
  // As Oracle's spells it.
  if (PERMISSION.includes(number) || /insuffici?ent privileg/i.test(said)) {
    const hint = 'see what holdfast doctor says of the rights of the user';
    return fail('PermissionDenied', 'the dump may not read everything', hint);
  }
  if (number === 1045 || number === 1698) {
    return fail('AuthenticationFailed', 'the dump was refused', 'check the user and its password');
  }
  if (PLUGIN.includes(number)) {
    const hint = 'install the client programs that belong to the server, with their authentication plugins';
    return fail('ToolMissing', 'the dump cannot prove who the user is', hint);
  }
  if (LOST.includes(number)) {
    return fail(
      'ConnectionFailed',
      'the dump lost the server',
      'it is tried again; see the log of the server',
    );
  }
  if (number === 1205)
    return fail('LockNotAvailable', 'the dump waited too long for a lock', 'try again later');
  return new HoldfastError('ToolFailed', `the dump failed: ${said}`);
}
