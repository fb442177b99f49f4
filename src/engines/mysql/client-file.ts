import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { ServerAccess } from '../../model/access.ts';
import type { Flavour } from './flavour.ts';

/**
 * How client programs reach a server, in an option file of their own: a password is never in arguments. The file is 0600,
 * in a folder that others cannot enter, and gone when the work has ended. It is named by `--defaults-extra-file`, which a
 * program takes as its first argument only.
 */
export async function withClientFile<T>(
  access: ServerAccess,
  flavour: Flavour,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-client-'));
  try {
    const ca = access.tls?.ca == null ? null : join(directory, 'ca.pem');
    if (ca !== null) await writeFile(ca, access.tls?.ca as string, { mode: 0o600 });
    const file = join(directory, 'client.cnf');
    const lines = [...addressOf(access), ...tlsOf(access, flavour, ca)];
    await writeFile(file, `[client]\n${lines.join('\n')}\n`, { mode: 0o600 });
    return await work(file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function addressOf({ host, port, user, password }: ServerAccess): string[] {
  return [
    ...(isAbsolute(host)
      ? [option('socket', join(host, 'mysqld.sock')), 'protocol=socket']
      : [option('host', host), `port=${port}`, 'protocol=tcp']),
    option('user', user),
    ...(password === null ? [] : [option('password', password)]),
  ];
}

/** Quoted, so that no character ends the value or begins a comment (MySQL: Using Option Files). */
const option = (name: string, value: string): string =>
  `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

function tlsOf({ tls }: ServerAccess, flavour: Flavour, ca: string | null): string[] {
  if (tls === null) return [];
  const verify = flavour === 'mysql' ? 'ssl-mode=VERIFY_IDENTITY' : 'ssl-verify-server-cert';
  return [verify, ...(ca === null ? [] : [option('ssl-ca', ca)])];
}
