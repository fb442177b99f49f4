import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import { socketOf } from './driver.ts';
import type { Flavour } from './flavour.ts';

export interface OptionFile {
  /** has to be a program's first argument; nothing else is read of the machine's option files */
  argument: string;
  /** as soon as the program has read it; done already is success */
  remove(): Promise<void>;
}

/**
 * Writes how to connect into a file that only this user can read, for client programs of this flavour: a password in
 * arguments or in the environment is seen by others. Throws InvalidConfiguration.
 */
export async function writeOptionFile(access: ServerAccess, flavour: Flavour): Promise<OptionFile> {
  const folder = await mkdtemp(join(tmpdir(), `holdfast-client-${process.pid}-`));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const authority = join(folder, 'ca.pem');
    if (access.tls !== null) {
      await writeFile(authority, access.tls.ca ?? rootCertificates.join('\n'), { mode: 0o600 });
    }
    const path = join(folder, 'client.cnf');
    await writeFile(path, optionText(access, flavour, authority), { mode: 0o600, flag: 'wx' });
    return { argument: `--defaults-file=${path}`, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The same for as long as the work takes. */
export async function withOptionFile<T>(
  access: ServerAccess,
  flavour: Flavour,
  work: (argument: string) => Promise<T>,
): Promise<T> {
  const { argument, remove } = await writeOptionFile(access, flavour);
  try {
    return await work(argument);
  } finally {
    await remove();
  }
}

/** Exported for its unit test. */
export function optionText(access: ServerAccess, flavour: Flavour, authority: string): string {
  const socket = socketOf(access.host);
  const options: [string, string?][] = [
    ['user', access.user],
    ...(access.password === null ? [] : ([['password', access.password]] as [string, string][])),
    ...((socket === null
      ? [
          ['protocol', 'tcp'],
          ['host', access.host],
          ['port', String(access.port)],
        ]
      : [
          ['protocol', 'socket'],
          ['socket', socket],
        ]) as [string, string][]),
    ...tlsOptions(access, flavour, authority, socket !== null),
  ];
  const lines = options.map(([name, value]) => (value === undefined ? name : `${name}=${quoted(value)}`));
  return `[client]\n${lines.join('\n')}\n`;
}

/** Sources: "Command Options for Encrypted Connections" of MySQL's manual, "mariadb-dump" of MariaDB's. */
function tlsOptions(
  access: ServerAccess,
  flavour: Flavour,
  authority: string,
  local: boolean,
): [string, string?][] {
  const { tls, host } = access;
  if (tls === null || local) {
    if (flavour === 'mariadb') return [['skip-ssl']];
    // Without TLS the password is sent under the server's own key.
    return [['ssl-mode', 'DISABLED'], ['get-server-public-key']];
  }
  if (tls.serverName !== null && tls.serverName !== host) {
    throw new HoldfastError(
      'InvalidConfiguration',
      'the client programs cannot check a certificate for another name than the host',
      {
        hint: 'name the server in connection.host as its certificate does, and leave out connection.tls.serverName',
      },
    );
  }
  return flavour === 'mariadb'
    ? [['ssl'], ['ssl-verify-server-cert'], ['ssl-ca', authority]]
    : [
        ['ssl-mode', 'VERIFY_IDENTITY'],
        ['ssl-ca', authority],
      ];
}

const ESCAPES: Record<string, string> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
};

/** Source: "Using Option Files" of MySQL's manual: escapes are read within quotes too. */
function quoted(value: string): string {
  if (value.includes('\0')) throw new RangeError('an option may not hold NUL');
  return `"${value.replace(/[\\"\n\r\t\b]/g, (found) => ESCAPES[found] as string)}"`;
}
