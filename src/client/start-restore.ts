import { type DatabaseView, describeDatabase } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import { HoldfastError } from '../model/failure.ts';
import type { WorkflowInput } from '../model/input.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { refuseSecondChange, requireSite } from './preflight.ts';
import { checkTables } from './recoverable.ts';
import { startRun } from './runbook.ts';
import type { Session } from './session.ts';
import { announce, awaitRun } from './started.ts';

type RestoreType = 'pointInTimeRecovery' | 'selectiveTableRestore' | 'fullDisasterRecovery';

/**
 * Starts a runbook that restores. Refuses before a workflow exists what would fail in it, by the same code; what
 * cannot be looked at from here is left to it: `look` gives what there is to say of that.
 */
export async function startRestore<T extends RestoreType>(
  session: Session,
  { type, input, wait }: { type: T; input: WorkflowInput<T>; wait: boolean },
  look: (database: DatabaseView) => Promise<(string | null)[]>,
): Promise<ExitCode> {
  const { client, config } = session;
  const database = describeDatabase(config.config, input.database);
  const { engine } = database.config;
  const { ENGINES } = await import('../workers/engines.ts');
  if (ENGINES[engine] === undefined) {
    throw new HoldfastError('NotSupported', `recovery of ${engine} is not supported by this version`, {
      hint: `${Object.keys(ENGINES).join(' and ')} are`,
    });
  }
  if (type === 'fullDisasterRecovery' && database.bases === 'logical') {
    throw new HoldfastError('NotSupported', `a disaster recovery of ${engine} is not supported yet`, {
      hint: `holdfast restore pitr ${database.name} --latest --site <site> hands a restored server over`,
    });
  }
  if (type === 'fullDisasterRecovery' || imports(input)) await refuseSecondChange(client, input.database);
  await requireSite(client, config.config, input.site);
  for (const doubt of await look(database)) {
    if (doubt !== null) process.stderr.write(`note: ${doubt}\n`);
  }
  const started = await startRun(client, { type, engine, input });
  await announce(session, started, wait);
  return wait ? awaitRun(session, started.workflowId) : EXIT.done;
}

function imports(input: WorkflowInput<RestoreType>): boolean {
  return 'tables' in input && input.tables !== undefined && input.export === undefined;
}

/** Looks tables up in production. Whole tables are exported without it, which may have lost them since. */
export async function checkNamed(
  config: LoadedConfig,
  database: DatabaseView,
  { tables, export: exported, conflict }: WorkflowInput<'pointInTimeRecovery' | 'selectiveTableRestore'>,
): Promise<string | null> {
  if (tables === undefined || (exported !== undefined && conflict === undefined)) return null;
  return checkTables(config, database, tables);
}
