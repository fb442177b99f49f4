import { Command } from 'commander';
import { findDatabase } from '../../config/describe.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Finding } from '../../model/finding.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, type CommandContext, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { siteOf } from '../preflight.ts';
import { formatFinding } from '../view/finding.ts';

/** The answer of `doctor --output json`; `site` where one was named. */
interface DoctorAnswer {
  site?: string;
  ok: boolean;
  checks: Finding[];
}

interface Options {
  site?: string;
}

const PATIENCE_MS = 90_000;
/** An S3 that is away is asked again for this long, for each thing that it is needed for. */
const S3_PATIENCE_MS = 3_000;

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .summary('whether everything is there that backups and recoveries need, line by line')
    .description(
      "Look whether everything is there that backups and recoveries need: versions, rights, settings of logs, secrets and their age, the repository and what its store can do, Temporal, workers, schedules, clocks, and, by its own worker, each site. With --site: on a host of that site and as its worker's user, what a recovery there needs. Changes nothing; objects of its own are written to the repository and removed.",
    )
    .argument('[database]', 'a database of the configuration (default: all)')
    .option('--site <site>', 'the site that this machine is a host of')
    .addHelpText(
      'after',
      `
A line per check, OK or FAILED with what to do. Exit code 1 where one failed.
Give it the environment of a worker: secrets may be in variables.

Examples:
  holdfast doctor
  holdfast doctor --site second`,
    );
  return withGlobalOptions(command).action(
    action(async (database: string | undefined, { site }: Options, self: Command) => {
      const context = await openContext(self, 'if known');
      const { config } = context.config;
      if (database !== undefined) findDatabase(config, database);
      if (site !== undefined) siteOf(config, site);
      if (site !== undefined && database !== undefined) {
        throw new HoldfastError('InvalidInput', 'a site is looked at for all of its databases', {
          hint: 'leave out the database, or --site',
        });
      }
      return examine(context, {
        site,
        databases: database === undefined ? Object.keys(config.databases) : [database],
      });
    }),
  );
}

async function examine(
  { config, output, print }: CommandContext,
  { site, databases }: { site: string | undefined; databases: string[] },
): Promise<ExitCode> {
  const { examineInstallation, examineSite } = await import('../../doctor/doctor.ts');
  const { temporalProbe } = await import('../doctor-probe.ts');
  const { ENGINES } = await import('../../workers/engines.ts');
  const { configureTools } = await import('../../workers/tools.ts');
  configureTools(config.config);
  const run = { signal: AbortSignal.timeout(PATIENCE_MS), progress: () => {} };
  const temporal = temporalProbe(config);
  const tools = { engines: ENGINES, temporal, patienceMs: S3_PATIENCE_MS, run };
  const findings =
    site === undefined ? examineInstallation(config, databases, tools) : examineSite(config, site, tools);
  const checks: Finding[] = [];
  try {
    for await (const finding of findings) {
      checks.push(finding);
      if (output === 'text') process.stdout.write(`${formatFinding(finding, terminalWidth())}\n`);
    }
  } finally {
    await temporal.close();
  }
  const ok = checks.every((finding) => finding.ok);
  if (output === 'json') print({ ...(site !== undefined && { site }), ok, checks } satisfies DoctorAnswer);
  return ok ? EXIT.done : EXIT.failed;
}
