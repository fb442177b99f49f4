import { Command } from 'commander';
import { refuseExport } from '../../model/export.ts';
import { parseInput, type WorkflowInput } from '../../model/input.ts';
import { action, withGlobalOptions } from '../options.ts';
import { operatingSystemUser } from '../person.ts';
import { checkLogical } from '../recoverable.ts';
import { collect, RESTORE_OPTIONS } from '../restore-options.ts';
import { type Session, withSession } from '../session.ts';
import { checkNamed, startRestore } from '../start-restore.ts';

interface Options {
  table: string[];
  backup?: string;
  conflict?: string;
  export?: string;
  site?: string;
  reason: string;
  requestedBy?: string;
  wait?: true;
}

export function restoreTableCommand(): Command {
  const command = new Command('table')
    .summary('bring tables back from a logical backup')
    .description(
      'Restore only these tables of a logical backup on an isolated instance, compare them with production, stop with a plan, and bring rows back only after its approval. With --export: write the tables, or with --conflict the rows that this rule would bring back, to files; production is not changed.',
    )
    .argument('<database>', 'a database of the configuration')
    .requiredOption(
      '--table <name>',
      'a table to bring back, as schema.table, of MySQL as db.table; may be repeated',
      collect,
    )
    .option(
      '--backup <id>',
      'a logical backup of holdfast catalog, or a snapshot of one (default: the newest)',
    );
  for (const option of RESTORE_OPTIONS) command.addOption(option);
  command
    .requiredOption('--reason <text>', 'why; kept in the evidence')
    .option('--requested-by <name>', 'who asks for it (default: the user of the operating system)')
    .option('--wait', 'follow it until it has ended or waits for a decision (exit code 3)')
    .addHelpText(
      'after',
      `
Rows come back as they were when the backup was taken; to a moment in between: holdfast restore pitr.

Examples:
  holdfast restore table shop --table public.orders --reason 'INC-42'
  holdfast restore table shop --table public.orders --backup 20260131T020000Z --conflict side-by-side --reason 'INC-42' --wait
  holdfast restore table shop --table public.orders --export dump:/srv/export --reason 'for the auditor'`,
    );
  return withGlobalOptions(command).action(
    action((database: string, options: Options, self: Command) => {
      const input = inputOf(database, options);
      const restore = (session: Session) =>
        startRestore(
          session,
          { type: 'selectiveTableRestore', input, wait: options.wait === true },
          async (view) => [
            await checkLogical(session.config, view, input.backup ?? null),
            await checkNamed(session.config, view, input),
          ],
        );
      return withSession(self, restore, 'if known');
    }),
  );
}

function inputOf(database: string, options: Options): WorkflowInput<'selectiveTableRestore'> {
  const { table, backup, conflict, export: exported, site, reason, requestedBy } = options;
  const input = parseInput('selectiveTableRestore', {
    ...{ database, reason, tables: table, requestedBy: requestedBy ?? operatingSystemUser() },
    ...(backup === undefined ? {} : { backup }),
    ...(conflict === undefined ? {} : { conflict }),
    ...(exported === undefined ? {} : { export: exported }),
    ...(site === undefined ? {} : { site }),
  });
  refuseExport(input);
  return input;
}
