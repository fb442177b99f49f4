import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { layoutOf } from '../../src/client/dev/configuration.ts';
import { queuesOf, rolesByWorker } from '../../src/client/dev/describe-config.ts';
import { runningPid } from '../../src/client/dev/postgres.ts';
import { postgresShop, SYSTEM_USER } from '../../src/client/dev/postgres-shop.ts';
import { identifyProcess, processesWithArgument } from '../../src/client/dev/process.ts';
import { readDescription, readState, writeDescription, writeState } from '../../src/client/dev/state.ts';
import { startWorker } from '../../src/client/dev/worker.ts';
import { loadConfig } from '../../src/config/load.ts';
import { postgresProgram } from '../../src/engines/postgres/programs.ts';
import { runTool } from '../../src/engines/process.ts';
import { formatRole } from '../../src/workers/roles.ts';
import { killAtOnce, type Stack } from './stack.ts';

/** What the first site has on its disks: everything but what both sites have a copy of. */
function filesOf({ directory }: Stack): { from: string; to: string }[] {
  const { postgres, instances, workers } = layoutOf(directory);
  return [postgres, instances, workers.worker.temporary].map((from, index) => ({
    from,
    to: join(directory, 'lost', String(index)),
  }));
}

/** The first site is gone at once, as in a fire: its worker, its database server, and all of their files. */
export async function loseFirstSite(stack: Stack): Promise<void> {
  const { postgresData, pgbackrestConfig } = layoutOf(stack.directory);
  await stack.production.end().catch(() => {});
  await stack.killWorker();
  const server = await runningPid(postgresData);
  if (server !== null) await killAtOnce(server);
  for (const { pid } of await processesWithArgument(`--config=${pgbackrestConfig}`)) await killAtOnce(pid);
  await mkdir(join(stack.directory, 'lost'), { mode: 0o700 });
  for (const { from, to } of filesOf(stack)) await rename(from, to);
}

/** The files are where they were before: whoever looks there finds the old primary, which does not run. */
export async function findFirstSite(stack: Stack): Promise<void> {
  for (const { from, to } of filesOf(stack)) {
    await rm(from, { recursive: true, force: true });
    await rename(to, from);
  }
  await rm(join(stack.directory, 'lost'), { recursive: true });
}

/** Somebody starts the old primary, as it was. */
export async function startOldPrimary({ directory }: Stack): Promise<void> {
  const { postgres, postgresData } = layoutOf(directory);
  const pgCtl = await postgresProgram('pg_ctl', 15);
  const log = join(postgres, 'server.log');
  await runTool(pgCtl, ['start', '-D', postgresData, '-l', log, '-w'], {
    signal: AbortSignal.timeout(60_000),
    user: SYSTEM_USER,
  });
}

export async function stopOldPrimary({ directory }: Stack): Promise<void> {
  await postgresShop.stop(directory);
}

export async function killSecond(stack: Stack): Promise<void> {
  await killAtOnce(await stack.pid('second'));
}

/** Starts the second site's worker again, and nothing else. */
export async function startSecond(stack: Stack): Promise<void> {
  const { directory, config, description } = stack;
  const { second } = rolesByWorker(await loadConfig(config));
  const pid = await startWorker({
    ...{ directory, config, name: 'second', temporal: description.temporal },
    ...{ roles: second.map(formatRole).join(','), queues: queuesOf(second) },
  });
  const identity = await identifyProcess(pid);
  if (identity === null) throw new Error('the second worker ended right after its start');
  const state = await readState(directory);
  await writeState(directory, { ...state, processes: { ...state.processes, second: identity } });
  const described = await readDescription(directory);
  if (described !== null) {
    await writeDescription(directory, { ...described, pids: { ...described.pids, second: pid } });
  }
}
