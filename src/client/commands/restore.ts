import { Command, Option } from 'commander';
import { type DatabaseView, describeDatabase } from '../../config/describe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { refuseExport } from '../../model/export.ts';
import { HoldfastError } from '../../model/failure.ts';
import { parseInput, type WorkflowInput } from '../../model/input.ts';
import { CONFLICT_RULES } from '../../model/plan.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { operatingSystemUser } from '../person.ts';
import {
  CONTROL_NEED,
  hostNeed,
  refuseSecondChange,
  requireWorkers,
  siteNeed,
  siteOf,
} from '../preflight.ts';
import { checkTables, checkTarget } from '../recoverable.ts';
import { startRun } from '../runbook.ts';
import { type Session, withSession } from '../session.ts';
import { announce, awaitRun } from '../started.ts';
import { readTarget, TARGET_OPTIONS, type TargetOptions } from '../target-options.ts';

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
    'recover on an isolated instance; production is only read',
  );
  restore.addCommand(pitrCommand());
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
  command
    .option('--table <name>', 'a table to bring back, as schema.table; may be repeated', collect)
    .addOption(
      new Option(
        '--conflict <rule>',
        'what happens to rows that exist; the plan shows every rule, and the approval may name another (default: insert-missing)',
      ).choices(CONFLICT_RULES),
    )
    .option(
      '--export <format:place>',
      "to files instead of into production: csv or dump, into repository or a folder of the site's host, such as csv:repository or dump:/srv/export",
    )
    .option('--site <site>', 'where the instance is made (default: the first site)')
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
  holdfast restore pitr shop --time 2026-01-31T14:05:00Z --table public.orders --export csv:repository --reason 'INC-42'
  holdfast restore pitr shop --latest --keep-instance 4h --reason 'look at the data'`,
    );
  return withGlobalOptions(command).action(
    action((database: string, options: Options, self: Command) => {
      const input = inputOf(database, options);
      return withSession(self, (session) => recover(session, input, options.wait === true));
    }),
  );
}

const collect = (value: string, before: string[] = []): string[] => [...before, value];

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

/** Refuses before a workflow exists what would fail in it, by the same code; what cannot be looked at is left to it. */
async function recover(
  session: Session,
  input: WorkflowInput<'pointInTimeRecovery'>,
  wait: boolean,
): Promise<ExitCode> {
  const { client, config } = session;
  const database = describeDatabase(config.config, input.database);
  const { engine } = database.config;
  if (engine !== 'postgres') {
    throw new HoldfastError('NotSupported', `recovery of ${engine} is not supported by this version`, {
      hint: 'PostgreSQL is',
    });
  }
  const site = siteOf(config.config, input.site);
  const imports = input.tables !== undefined && input.export === undefined;
  if (imports) await refuseSecondChange(client, input.database);
  const hosts = config.config.sites[site]?.hosts ?? [];
  const oneHost = hosts.length === 1 ? hosts.map(hostNeed) : [];
  await requireWorkers(client, [CONTROL_NEED, siteNeed(site), ...oneHost]);
  for (const doubt of [
    await checkTarget(config, database, input.target),
    await lookUpTables(config, database, input),
  ]) {
    if (doubt !== null) process.stderr.write(`note: ${doubt}\n`);
  }
  const started = await startRun(client, { type: 'pointInTimeRecovery', engine, input });
  await announce(session, started, wait);
  return wait ? awaitRun(session, started.workflowId) : EXIT.done;
}

/** Whole tables are exported without production, which may have lost them since. */
async function lookUpTables(
  config: LoadedConfig,
  database: DatabaseView,
  { tables, export: exported, conflict }: WorkflowInput<'pointInTimeRecovery'>,
): Promise<string | null> {
  if (tables === undefined || (exported !== undefined && conflict === undefined)) return null;
  return checkTables(config, database, tables);
}
