import { Command } from 'commander';
import { describeChannels } from '../../config/channels.ts';
import { noticesOf } from '../../config/checks.ts';
import { objectivesOf, protectionOf } from '../../config/describe.ts';
import { describeEndpoint } from '../../config/endpoints.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Config, DatabaseConfig } from '../../config/schema.ts';
import { describeReference } from '../../config/secrets.ts';
import { formatDuration, parseDuration } from '../../model/duration.ts';
import { HoldfastError } from '../../model/failure.ts';
import { lifecycleOf } from '../../repository/lifecycle/rules.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { formatParagraph, style, terminalWidth } from '../output.ts';
import { temporalPlace } from '../temporal.ts';

/** The answer of `config check --output json`. */
interface CheckAnswer {
  path: string;
  temporal: { address: string; namespace: string };
  databases: {
    name: string;
    engine: string;
    objectives: { rpoSeconds: number; rpoFrom: string; rtoSeconds: number; rtoFrom: string };
    tiers: {
      log: { maxAgeSeconds: number; worstSeconds: number } | null;
      logical: { schedule: string[]; fingerprints: boolean } | null;
      physical: { full: string[]; diff: string[]; fulls: number } | null;
    };
    /** how the tiers follow from the objectives */
    arithmetic: string[];
    /** null: it has no takeover at any site */
    disaster: {
      takeover: { site: string; address: string; port: number }[];
      /** `command`, or `approval`: whoever approves says that the old server is stopped */
      fence: 'command' | 'approval';
      endpoints: string[];
    } | null;
  }[];
  /** how long everything is kept in the repository, and what that is charged for at least */
  lifecycle: string[];
  /** who hears of failures; names and places of secrets, not the secrets */
  notify: { channels: string[]; expiresBeforeSeconds: number; deadManSwitch: string | null };
  notices: string[];
}

export function configCommand(): Command {
  const check = new Command('check')
    .description('check the configuration, and show the tiers and schedules that follow from the objectives')
    .addHelpText('after', '\nExample:\n  holdfast config check --config holdfast.yaml');
  withGlobalOptions(check).action(
    action(async (_options: unknown, self: Command) => {
      const context = await openContext(self);
      const answer = checkAnswer(context.config);
      context.print(answer, formatAnswer(answer));
    }),
  );
  return new Command('config').description('check the configuration').addCommand(check);
}

/** What follows from a configuration that is right. */
export function checkAnswer(loaded: LoadedConfig): CheckAnswer {
  const databases = Object.entries(loaded.config.databases).map(([name, database]) => {
    const { rpoMs, rtoMs, rpoFrom, rtoFrom } = objectivesOf(database);
    const { tiers, lines } = protectionOf(name, database);
    const { log, logical, physical } = tiers;
    return {
      name,
      engine: database.engine,
      objectives: { rpoSeconds: rpoMs / 1_000, rpoFrom, rtoSeconds: rtoMs / 1_000, rtoFrom },
      tiers: {
        log: log && { maxAgeSeconds: log.maxAgeMs / 1_000, worstSeconds: log.worstMs / 1_000 },
        logical,
        physical: physical && { full: physical.full, diff: physical.diff, fulls: physical.retentionFull },
      },
      arithmetic: lines,
      disaster: disasterAnswer(database),
    };
  });
  const { lines: lifecycle, refusals } = lifecycleOf(loaded.config);
  const [refused] = refusals;
  if (refused !== undefined) {
    throw new HoldfastError('InvalidConfiguration', refused.message, { hint: refused.hint });
  }
  const { address, namespace } = temporalPlace(loaded);
  return {
    path: loaded.path,
    temporal: { address, namespace },
    databases,
    lifecycle,
    notify: notifyAnswer(loaded.config),
    notices: noticesOf(loaded.config),
  };
}

function disasterAnswer({
  takeover,
  fence,
  endpoints,
}: DatabaseConfig): CheckAnswer['databases'][number]['disaster'] {
  const places = Object.entries(takeover).map(([site, { address, port }]) => ({ site, address, port }));
  if (places.length === 0) return null;
  return {
    takeover: places,
    fence: fence === undefined ? 'approval' : 'command',
    endpoints: endpoints.map(describeEndpoint),
  };
}

function formatDisaster(disaster: CheckAnswer['databases'][number]['disaster']): string[] {
  if (disaster === null) return [];
  const places = disaster.takeover.map(({ site, address, port }) => `at ${site} as ${address}:${port}`);
  const fence =
    disaster.fence === 'command'
      ? 'a command fences the old server'
      : 'a person says that the old server is stopped';
  const clients =
    disaster.endpoints.length === 0
      ? 'clients are switched by hand'
      : `clients are switched in ${disaster.endpoints.join(', ')}`;
  return [`after a disaster: ${places.join(', or ')}; ${fence}; ${clients}`];
}

function notifyAnswer(config: Config): CheckAnswer['notify'] {
  const { expiresBefore, deadManSwitch } = config.notify;
  return {
    channels: describeChannels(config),
    expiresBeforeSeconds: parseDuration(expiresBefore) / 1_000,
    deadManSwitch: deadManSwitch === undefined ? null : describeReference(deadManSwitch),
  };
}

function formatNotify({ channels, expiresBeforeSeconds, deadManSwitch }: CheckAnswer['notify']): string[] {
  const told = channels.length === 0 ? 'nobody' : channels.join(', ');
  const reminder =
    channels.length === 0
      ? ''
      : `; again ${formatDuration(expiresBeforeSeconds * 1_000)} before a decision expires`;
  return [
    `alerts go to: ${told}${reminder}`,
    ...(deadManSwitch === null ? [] : [`dead man's switch: its address is ${deadManSwitch}`]),
  ];
}

function formatAnswer({ path, temporal, databases, lifecycle, notify, notices }: CheckAnswer): string {
  const width = terminalWidth();
  const lines = [`${path} is right`, `temporal: ${temporal.address}, namespace ${temporal.namespace}`];
  for (const { name, engine, objectives, arithmetic, disaster } of databases) {
    const { rpoSeconds, rtoSeconds } = objectives;
    const aims = `RPO ${formatDuration(rpoSeconds * 1_000)}, RTO ${formatDuration(rtoSeconds * 1_000)}`;
    lines.push('', `${style('bold', name)} (${engine}): ${aims}`);
    const all = [...arithmetic, ...formatDisaster(disaster)];
    lines.push(...all.map((line) => formatParagraph(line, '  ', width)));
  }
  if (databases.length === 0) lines.push('', 'there are no databases in it yet');
  lines.push('', style('bold', 'how long the repository keeps it'));
  lines.push(...lifecycle.map((line) => formatParagraph(line, '  ', width)));
  lines.push('', ...formatNotify(notify));
  if (notices.length > 0) lines.push('', style('yellow', 'to know:'));
  lines.push(...notices.map((notice) => formatParagraph(notice, '  ', width)));
  return lines.join('\n');
}
