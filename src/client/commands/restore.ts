import { Command } from 'commander';
import { refuseExport } from '../../model/export.ts';
import { parseInput, type WorkflowInput } from '../../model/input.ts';
import type { ExitCode } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { operatingSystemUser } from '../person.ts';
import { checkTarget } from '../recoverable.ts';
import { collect, RESTORE_OPTIONS } from '../restore-options.ts';
import { type Session, withSession } from '../session.ts';
import { checkNamed, startRestore } from '../start-restore.ts';
import { readTarget, TARGET_OPTIONS, type TargetOptions } from '../target-options.ts';
import { restoreFullCommand } from './restore-full.ts';
import { restoreTableCommand } from './restore-table.ts';

interface Options extends TargetOptions {
  table?: string[];
  conflict?: string;
  export?: string;
  site?: string;
  keepInstance?: string;
  reason: string;
  requestedBy?: string;
  wait?: true;
}

export function restoreCommand(): Command {
  const restore = new Command('restore').description(
    'recover on an isolated instance, where production is only read; full: at another site, where it becomes production',
  );
  restore.addCommand(pitrCommand());
  restore.addCommand(restoreTableCommand());
  restore.addCommand(restoreFullCommand());
  return restore;
}

function pitrCommand(): Command {
  const command = new Command('pitr')
    .summary('recover to a moment, and bring lost rows back')
    .description(
      'Recover a database to a moment on an isolated instance. With --table: compare with production, stop with a plan, and bring the lost rows back only after its approval. With --export: write the tables, or with --conflict the rows that this rule would bring back, to files; production is not changed. Without --table: hand the instance over.',
    )
    .argument('<database>', 'a database of the configuration');
  for (const option of TARGET_OPTIONS) command.addOption(option);
  command.option(
    '--table <name>',
    'a table to bring back, as schema.table, of MySQL as db.table; may be repeated',
    collect,
  );
  for (const option of RESTORE_OPTIONS) command.addOption(option);
  command
    .option(
      '--keep-instance <duration>',
      'hand the instance over for this long, such as 4h (default without --table: 1h)',
    )
    .requiredOption('--reason <text>', 'why; kept in the evidence')
    .option('--requested-by <name>', 'who asks for it (default: the user of the operating system)')
    .option('--wait', 'follow it until it has ended or waits for a decision (exit code 3)')
    .addHelpText(
      'after',
      `
Examples:
  holdfast restore pitr shop --time 2026-01-31T14:05:00Z --table public.orders --reason 'INC-42'
  holdfast restore pitr shop --xid 4711 --table public.orders --table public.order_lines --reason 'INC-42' --wait
  holdfast restore pitr shop --gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23 --table shop.orders --reason 'INC-42'
  holdfast restore pitr shop --time 2026-01-31T14:05:00Z --table public.orders --export csv:repository --reason 'INC-42'
  holdfast restore pitr shop --latest --keep-instance 4h --reason 'look at the data'`,
    );
  return withGlobalOptions(command).action(
    action((database: string, options: Options, self: Command) => {
      const input = inputOf(database, options);
      return withSession(self, (session) => recover(session, input, options.wait === true), 'if known');
    }),
  );
}

function inputOf(database: string, options: Options): WorkflowInput<'pointInTimeRecovery'> {
  const { table, conflict, export: exported, site, keepInstance, reason, requestedBy } = options;
  const input = parseInput('pointInTimeRecovery', {
    database,
    reason,
    requestedBy: requestedBy ?? operatingSystemUser(),
    target: readTarget(options),
    ...(table === undefined ? {} : { tables: table }),
    ...(conflict === undefined ? {} : { conflict }),
    ...(exported === undefined ? {} : { export: exported }),
    ...(site === undefined ? {} : { site }),
    ...(keepInstance === undefined ? {} : { keepInstance }),
  });
  refuseExport(input);
  return input;
}

async function recover(
  session: Session,
  input: WorkflowInput<'pointInTimeRecovery'>,
  wait: boolean,
): Promise<ExitCode> {
  return startRestore(session, { type: 'pointInTimeRecovery', input, wait }, async (database) => [
    await checkTarget(session.config, database, input.target),
    await checkNamed(session.config, database, input),
  ]);
}
