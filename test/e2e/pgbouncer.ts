import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../src/client/dev/ports.ts';
import { userIds } from '../../src/engines/process.ts';
import type { Address } from '../../src/model/topology.ts';

/** A real PgBouncer on loopback. */
export interface Pgbouncer {
  ini: string;
  port: number;
  /** of its admin console, and of the entry that applications use */
  admin: { host: string; port: number; user: string; password: { file: string } };
  url: string;
  console(command: string): Promise<Record<string, unknown>[]>;
  end(): Promise<void>;
}

export interface PgbouncerOptions {
  /** for its files; made when absent */
  directory: string;
  /** entry `shop`: where it leads at first, and by which user and password servers and pooler know the application */
  server: Address & { user: string; password: string; database: string };
  mode?: 'session' | 'transaction';
  /** further lines of its own section */
  settings?: readonly string[];
}

const ADMIN = { user: 'bouncer', password: 'a-password-of-its-console' };

export async function startPgbouncer(options: PgbouncerOptions): Promise<Pgbouncer> {
  const { directory, server, mode = 'transaction', settings = [] } = options;
  const port = await freePort();
  const ini = join(directory, 'pgbouncer.ini');
  const users = join(directory, 'userlist.txt');
  const password = join(directory, 'console-password');
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  await writeFile(password, ADMIN.password, { mode: 0o600 });
  await writeFile(users, `"${server.user}" "${server.password}"\n"${ADMIN.user}" "${ADMIN.password}"\n`);
  await writeFile(
    ini,
    `; clients of the shop
[databases]
other = host=192.0.2.1 port=1
shop = host=${server.host} port=${server.port} dbname=${server.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
admin_users = ${ADMIN.user}
pool_mode = ${mode}
ignore_startup_parameters = extra_float_digits
${settings.map((line) => `${line}\n`).join('')}`,
  );
  // It refuses to run as root.
  const ids = process.getuid?.() === 0 ? userIds('postgres') : null;
  if (ids !== null) for (const path of [ini, users]) await chown(path, ids.uid, ids.gid);
  await chmod(ini, 0o640);
  const child = spawn('pgbouncer', ['-q', ini], {
    stdio: 'ignore',
    ...(ids === null ? {} : { uid: ids.uid, gid: ids.gid }),
  });
  const missing = once(child, 'error').then(([error]) => {
    throw new Error(`pgbouncer did not start: ${error}; run scripts/setup.sh`);
  });
  missing.catch(() => {});
  const access = { host: '127.0.0.1', port, ...ADMIN, database: 'pgbouncer' };
  const running: Pgbouncer = {
    ini,
    port,
    admin: { host: '127.0.0.1', port, user: ADMIN.user, password: { file: password } },
    url: `postgresql://${server.user}:${server.password}@127.0.0.1:${port}/shop`,
    async console(command) {
      const client = new pg.Client(access);
      client.on('error', () => {});
      await client.connect();
      return (await client.query(command).finally(() => client.end())).rows;
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
  await Promise.race([missing, untilItAnswers(running, () => child.exitCode)]);
  return running;
}

async function untilItAnswers(running: Pgbouncer, exitCode: () => number | null): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await running.console('SHOW VERSION');
      return;
    } catch (error) {
      if (exitCode() !== null || tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
