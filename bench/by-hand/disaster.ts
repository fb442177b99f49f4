import { chmod, chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderPgbackrestConfig } from '../../src/engines/postgres/pgbackrest.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { runTool, userIds } from '../../src/engines/process.ts';
import { toolRepository } from '../../src/repository/tool.ts';
import type { PostgresStack } from '../postgres-stack.ts';
import { stepsOf } from './steps.ts';

const SCRIPT = fileURLToPath(new URL('disaster.sh', import.meta.url));
const MAJOR = 15;
const USER = 'postgres';

/** Runs the script of a disaster recovery into a folder and a stanza of its own; returns the seconds of its steps. */
export async function takeOverByHand(
  stack: PostgresStack,
  what: { stanza: string; rows: { query: string; count: string }; sharedBuffers: string },
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const place = join(stack.directory, 'by-hand');
  try {
    const files = await writeConfigurations(stack, place, what.stanza);
    const { stdout } = await runTool('bash', [SCRIPT], {
      signal,
      stdout: 'text',
      env: {
        ...{ PLACE: place, OLD: files.old, NEW: files.new, OLD_STANZA: 'shop', NEW_STANZA: what.stanza },
        ...{ BIN: dirname(await postgresProgram('pg_ctl', MAJOR)), SERVER_USER: USER },
        ...{ DATABASE: new URL(stack.url).pathname.slice(1), ROWS: what.rows.query },
        SHARED_BUFFERS: what.sharedBuffers,
      },
    });
    const rows = /^rows (\d+)$/m.exec(stdout)?.[1];
    if (rows !== what.rows.count) throw new Error(`by hand came back ${rows} rows of ${what.rows.count}`);
    return stepsOf(stdout);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** The old stanza may only be read; the new one is written to. */
async function writeConfigurations(stack: PostgresStack, place: string, stanza: string) {
  const { uid, gid } = userIds(USER);
  await mkdir(place, { recursive: true });
  await chmod(place, 0o755);
  const folder = (name: string) => join(place, name);
  for (const name of ['spool', 'lock', 'log', 'socket']) {
    await mkdir(folder(name), { recursive: true });
    await chown(folder(name), uid, gid);
  }
  const { config, directory } = stack.config;
  const write = async (use: 'restore' | 'backup', name: string): Promise<string> => {
    const path = folder(`${use}.conf`);
    const text = renderPgbackrestConfig({
      repository: await toolRepository(config.repository, { use, baseDirectory: directory }),
      ...{ stanza: name, dataDirectory: folder('data'), port: 5432, socketDirectory: folder('socket') },
      ...{ user: 'postgres', database: 'postgres' },
      ...{ spoolDirectory: folder('spool'), lockDirectory: folder('lock'), logDirectory: folder('log') },
    });
    await writeFile(path, text, { mode: 0o600 });
    await chown(path, uid, gid);
    return path;
  };
  return { old: await write('restore', 'shop'), new: await write('backup', stanza) };
}
