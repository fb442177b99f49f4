import { Command, Option } from 'commander';
import { describeDatabase } from '../../config/describe.ts';
import type { DRILLED, DrillOutcome, DrillRecord } from '../../model/drill.ts';
import { parseInput } from '../../model/input.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { operatingSystemUser } from '../person.ts';
import { requireSite } from '../preflight.ts';
import { startRun } from '../runbook.ts';
import { type Session, withSession } from '../session.ts';
import { announce, awaitRun } from '../started.ts';

/** The names of the runbooks in `holdfast restore`. */
const RUNBOOKS = {
  pitr: 'pointInTimeRecovery',
  table: 'selectiveTableRestore',
  full: 'fullDisasterRecovery',
} as const satisfies Record<string, (typeof DRILLED)[number]>;

interface Options {
  runbook?: keyof typeof RUNBOOKS;
  site?: string;
  reason: string;
  requestedBy?: string;
  wait?: true;
}

export function drillCommand(): Command {
  const command = new Command('drill')
    .summary('recover something at random, up to but not into production, and measure it')
    .description(
      'Run a real runbook on an isolated instance up to its last plan, which is rejected: production is only read, and no client is switched. What is recovered is chosen at random, the kinds of recovery take turns. How long each step took is compared with the objective (RTO) and with earlier drills, and kept as a scorecard. A real recovery of the database ends the drill.',
    )
    .argument('<database>', 'a database of the configuration')
    .addOption(
      new Option('--runbook <kind>', 'what is drilled (default: the one whose turn it is)').choices(
        Object.keys(RUNBOOKS),
      ),
    )
    .option(
      '--site <site>',
      'where the instance is made (default: the first site; of a disaster recovery the first that takes the database over)',
    )
    .option('--reason <text>', 'why; kept in the evidence', 'asked for')
    .option('--requested-by <name>', 'who asks for it (default: the user of the operating system)')
    .option(
      '--wait',
      'follow it until it has ended: exit code 0 where the objective was met, 1 where it was missed or the drill failed, 4 where it was skipped',
    )
    .addHelpText(
      'after',
      `
It runs monthly by its schedule, unless drill is off in the configuration. All drills: holdfast report <database>.

Examples:
  holdfast drill shop --wait
  holdfast drill shop --runbook table --wait
  holdfast drill shop --runbook full --site recovery --wait`,
    );
  return withGlobalOptions(command).action(
    action((database: string, options: Options, self: Command) =>
      withSession(self, (session) => drill(session, database, options)),
    ),
  );
}

const CODES: Record<DrillOutcome, ExitCode> = {
  met: EXIT.done,
  missed: EXIT.failed,
  failed: EXIT.failed,
  skipped: EXIT.declined,
};

async function drill(session: Session, database: string, options: Options): Promise<ExitCode> {
  const { client, config } = session;
  const { runbook, site, reason, requestedBy } = options;
  const input = parseInput('restoreDrill', {
    ...{ database, reason, requestedBy: requestedBy ?? operatingSystemUser() },
    ...(runbook === undefined ? {} : { runbook: RUNBOOKS[runbook] }),
    ...(site === undefined ? {} : { site }),
  });
  const { engine, takeover } = describeDatabase(config.config, database).config;
  await requireSite(
    client,
    config.config,
    site ?? (runbook === 'full' ? Object.keys(takeover)[0] : undefined),
  );
  const started = await startRun(client, { type: 'restoreDrill', engine, input });
  await announce(session, started, options.wait === true);
  if (options.wait !== true) return EXIT.done;
  const followed = await awaitRun(session, started.workflowId);
  if (followed !== EXIT.done) return followed;
  const { outcome } = (await client.workflow.getHandle(started.workflowId).result()) as DrillRecord;
  return CODES[outcome];
}
