import { Command } from 'commander';
import { describeDatabase } from '../../config/describe.ts';
import type { Config } from '../../config/schema.ts';
import { HoldfastError } from '../../model/failure.ts';
import { parseInput } from '../../model/input.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { observe } from '../observe.ts';
import { action, withGlobalOptions } from '../options.ts';
import { operatingSystemUser } from '../person.ts';
import { CONTROL_NEED, hostNeed, refuseSecondChange, requireWorkers } from '../preflight.ts';
import { checkUndo } from '../recoverable.ts';
import { startRun } from '../runbook.ts';
import { type Session, withSession } from '../session.ts';
import { announce, awaitRun } from '../started.ts';

interface Options {
  reason: string;
  requestedBy?: string;
  wait?: true;
}

export function undoCommand(): Command {
  const command = new Command('undo')
    .summary('take an import back')
    .description(
      'Take back what the import of a runbook changed. It shows a plan and asks, as any change of production does. Rows that others have changed since are left alone, unless the approval says --conflict overwrite-changed.',
    )
    .argument('<id>', 'workflow id of the runbook that imported')
    .requiredOption('--reason <text>', 'why; kept in the evidence')
    .option('--requested-by <name>', 'who asks for it (default: the user of the operating system)')
    .option('--wait', 'follow it until it has ended or waits for a decision (exit code 3)')
    .addHelpText(
      'after',
      `
What it needs is kept in the repository for a while (retention.undo, default 30d).

Examples:
  holdfast undo pitr/shop/20260131T140500Z --reason 'INC-42: the wrong rows came back' --wait
  holdfast approve undo/shop/20260131T150000Z
  holdfast approve undo/shop/20260131T150000Z --conflict overwrite-changed`,
    );
  return withGlobalOptions(command).action(
    action((id: string, options: Options, self: Command) =>
      withSession(self, (session) => undo(session, id, options), 'if known'),
    ),
  );
}

/** Refuses before a workflow exists what would fail in it; what cannot be looked at from here is left to it. */
async function undo(session: Session, id: string, options: Options): Promise<ExitCode> {
  const { client, config } = session;
  const database = describeDatabase(config.config, await databaseOfRun(session, id));
  const input = parseInput('undoImport', {
    database: database.name,
    workflowId: id,
    reason: options.reason,
    requestedBy: options.requestedBy ?? operatingSystemUser(),
  });
  const { engine, host } = database.config;
  await refuseSecondChange(client, database.name);
  await requireWorkers(client, [CONTROL_NEED, hostNeed(host)]);
  const doubt = await checkUndo(config, database, id);
  if (doubt !== null) process.stderr.write(`note: ${doubt}\n`);
  const started = await startRun(client, { type: 'undoImport', engine, input });
  await announce(session, started, options.wait === true);
  return options.wait === true ? awaitRun(session, started.workflowId) : EXIT.done;
}

/** The database of a run: as the run says, and of one that Temporal has forgotten, as its id says. */
async function databaseOfRun({ client, config }: Session, id: string): Promise<string> {
  try {
    const { status } = await observe(client, id);
    if (status.database !== '') return status.database;
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'InvalidInput') throw error;
    const named = databaseInId(config.config, id);
    if (named === null) throw error;
    return named;
  }
  throw new HoldfastError('InvalidInput', `${id} is no runbook of Holdfast`, {
    hint: 'holdfast list shows the runbooks that ran',
  });
}

/** `shop` of `pitr/shop/20260131T140500Z`; null where no part of the id is a database of the configuration. */
export function databaseInId(config: Pick<Config, 'databases'>, id: string): string | null {
  const name = id.split('/').at(-2) ?? '';
  return Object.hasOwn(config.databases, name) ? name : null;
}
