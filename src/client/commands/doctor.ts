import { Command } from 'commander';
import type { LoadedConfig } from '../../config/load.ts';
import type { Finding, TemporalProbe } from '../../doctor/check.ts';
import { formatFailure } from '../../model/failure.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, type CommandContext, openContext, withGlobalOptions } from '../options.ts';
import { formatParagraph, style, terminalWidth } from '../output.ts';
import { CONTROL_NEED, hostNeed, requireWorkers, siteNeed, siteOf } from '../preflight.ts';
import { connectTemporal } from '../temporal.ts';

/** The answer of `doctor --output json`. */
interface DoctorAnswer {
  site: string;
  ok: boolean;
  checks: Finding[];
}

const PATIENCE_MS = 60_000;
/** An S3 that is away is asked again for this long, for each thing that it is needed for. */
const S3_PATIENCE_MS = 3_000;

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .summary('whether a site could recover what it is meant to, line by line')
    .description(
      "Look, on a host of a site and as its worker's user, whether everything is there that a recovery needs: secrets, repository, programs, users, disk, addresses, endpoints, the fence, Temporal and workers. Changes nothing; one object is written to the repository and removed.",
    )
    .requiredOption('--site <site>', 'the site that this machine is a host of')
    .addHelpText(
      'after',
      `
A line per check, OK or FAILED with what to do. Exit code 1 where one failed.
Give it the environment of the site's worker: secrets may be in variables.

Example:
  holdfast doctor --site second`,
    );
  return withGlobalOptions(command).action(
    action(async ({ site }: { site: string }, self: Command) => {
      const context = await openContext(self, 'if known');
      siteOf(context.config.config, site);
      return examine(context, site);
    }),
  );
}

async function examine({ config, output, print }: CommandContext, site: string): Promise<ExitCode> {
  const { examineSite } = await import('../../doctor/doctor.ts');
  const { ENGINES } = await import('../../workers/engines.ts');
  const { configurePrograms } = await import('../../engines/postgres/programs.ts');
  configurePrograms(config.config.tools.postgres ?? {});
  const run = { signal: AbortSignal.timeout(PATIENCE_MS), progress: () => {} };
  const temporal = probeOf(config);
  const tools = { engines: ENGINES, temporal, patienceMs: S3_PATIENCE_MS, run };
  const checks: Finding[] = [];
  try {
    for await (const finding of examineSite(config, site, tools)) {
      checks.push(finding);
      if (output === 'text') process.stdout.write(`${formatFinding(finding, terminalWidth())}\n`);
    }
  } finally {
    await temporal.close();
  }
  const ok = checks.every((finding) => finding.ok);
  if (output === 'json') print({ site, ok, checks } satisfies DoctorAnswer);
  return ok ? EXIT.done : EXIT.failed;
}

/** Connects once, when it is first asked. */
function probeOf(loaded: LoadedConfig): TemporalProbe & { close(): Promise<void> } {
  let connected: ReturnType<typeof connectTemporal> | null = null;
  const connect = () => {
    connected ??= connectTemporal(loaded);
    return connected;
  };
  return {
    reach: async () => {
      const { address, namespace } = await connect();
      return `${address}, namespace ${namespace}`;
    },
    requireServed: async (site, hosts) => {
      const { client } = await connect();
      await requireWorkers(client, [CONTROL_NEED, siteNeed(site), ...hosts.map(hostNeed)]);
    },
    close: async () => {
      const temporal = await connected?.catch(() => null);
      await temporal?.close();
    },
  };
}

function formatFinding({ check, ok, detail, hint }: Finding, width: number | null): string {
  const mark = ok ? style('green', 'OK    ') : style(['bold', 'red'], 'FAILED');
  const text = formatFailure(`${check}: ${detail}`, hint ?? undefined);
  return `${mark}  ${formatParagraph(text, '        ', width).trimStart()}`;
}
