import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderPgbackrestConfig } from '../../src/engines/postgres/pgbackrest.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { runTool, userIds } from '../../src/engines/process.ts';
import { toolRepository } from '../../src/repository/tool.ts';
import { ACCIDENT } from '../postgres-data.ts';
import type { PostgresStack } from '../postgres-stack.ts';
import { stepsOf } from './steps.ts';

const SCRIPT = fileURLToPath(new URL('recover.sh', import.meta.url));
const MAJOR = 15;
const USER = 'holdfast-restore';

/** Runs the script of a point-in-time recovery; returns the seconds of its steps. */
export async function recoverByHand(
  stack: PostgresStack,
  target: string,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const place = join(stack.directory, 'by-hand');
  const configuration = await writeConfiguration(stack, place);
  const { hostname, port, username, password, pathname } = new URL(stack.url);
  const bin = dirname(await postgresProgram('pg_ctl', MAJOR));
  try {
    const { stdout } = await runTool('bash', [SCRIPT], {
      signal,
      stdout: 'text',
      env: {
        ...{ PLACE: place, CONFIGURATION: configuration, STANZA: 'shop', BIN: bin, RESTORE_USER: USER },
        TARGET: target.replace('T', ' ').replace('Z', '+00'),
        DATABASE: pathname.slice(1),
        PRODUCTION: `host=${hostname} port=${port} user=${username} dbname=${pathname.slice(1)}`,
        PGPASSWORD: decodeURIComponent(password),
        TABLES: ACCIDENT.map(({ table, key }) => `${table}:${key}`).join(' '),
      },
    });
    return stepsOf(stdout);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** The configuration file that the host of a restore would have: as fast as ours, with rights to read only. */
async function writeConfiguration(stack: PostgresStack, place: string): Promise<string> {
  const { uid, gid } = userIds(USER);
  await mkdir(place, { recursive: true });
  await chmod(place, 0o755);
  const folder = (name: string) => join(place, name);
  for (const name of ['spool', 'lock', 'log', 'socket']) {
    await mkdir(folder(name), { recursive: true });
    await chown(folder(name), uid, gid);
  }
  const { config, directory } = stack.config;
  const path = folder('pgbackrest.conf');
  const text = renderPgbackrestConfig({
    repository: await toolRepository(config.repository, { use: 'restore', baseDirectory: directory }),
    ...{ stanza: 'shop', dataDirectory: folder('data'), port: 5432, socketDirectory: folder('socket') },
    ...{ user: 'postgres', database: 'shop' },
    ...{ spoolDirectory: folder('spool'), lockDirectory: folder('lock'), logDirectory: folder('log') },
  });
  await writeFile(path, text, { mode: 0o600 });
  await chown(path, uid, gid);
  return path;
}
