import type { DatabaseView } from '../../config/describe.ts';
import type { Config } from '../../config/schema.ts';
import { classOf, hasStorageClasses } from '../../config/storage-class.ts';
import { formatDuration } from '../../model/duration.ts';
import { describeGap } from '../../model/tier.ts';
import { describeCharge } from './charges.ts';
import { backupKept, logKept, physicalDays, recordDays, trailDays } from './days.ts';
import { formerStanzas } from './former.ts';

const NAMED = 3;

/** How long everything is really kept, why, and what it is charged for at least: a line for each distinct retention. */
export function describeLifecycle(
  config: Config,
  databases: readonly DatabaseView[],
  { archiveAfter, ended }: { archiveAfter: number | null; ended: number },
): string[] {
  const { repository } = config;
  const inClass = (tier: 'logical' | 'snapshot', days: number): string => {
    const storageClass = classOf(repository, tier);
    return charge(storageClass === null ? null : describeCharge(storageClass, 0, days));
  };
  return [
    ...byRetention('log', databases, (database) => {
      const kept = logKept(database);
      const { retentionArchive: fulls } = database.tiers.physical ?? {};
      const [least, end] =
        fulls === undefined
          ? ['', '']
          : [' at least', `; pgBackRest removes what is older than the newest ${fulls} fulls`];
      return kept && [database.retention.logMs, `kept ${kept.days} days${least}: ${kept.why}${end}`];
    }),
    ...byRetention('logical', databases, ({ tiers, retention: { logicalMs } }) => {
      const { days, why } = backupKept(logicalMs);
      return tiers.logical && [logicalMs, `kept ${days} days: ${why}${inClass('logical', days)}`];
    }),
    ...byRetention('physical', databases, (database) => {
      const { physical } = database.tiers;
      const days = physicalDays(database);
      if (physical === null || days === null) return null;
      const moved = archiveAfter !== null && archiveAfter < days;
      const cost = charge(moved ? describeCharge('GLACIER', archiveAfter, days) : null);
      const why = `pgBackRest removes a full when ${physical.retentionFull} newer ones are complete, one every ${describeGap(physical.fullGapMs)}`;
      return [database.retention.physicalMs, `kept ${days} days: ${why}${cost}`];
    }),
    ...byRetention('snapshot', databases, ({ tiers, retention: { snapshotMs } }) => {
      const { days, why } = backupKept(snapshotMs);
      return tiers.snapshot && [snapshotMs, `kept ${days} days: ${why}${inClass('snapshot', days)}`];
    }),
    ...formerStanzas(databases).map(
      ({ database, stanza, until, over }) =>
        `stanza ${stanza}, that ${database} left on ${day(until)}: removed on ${day(over)}, when nothing of it is promised any more`,
    ),
    `manifests and verifications: kept ${recordDays(databases)} days, as long as any backup`,
    `evidence, drills, acknowledgements, exports and what takes imports back: removed after ${trailDays(databases)} days at the latest`,
    `what has ended, was deleted or overwritten is removed for good ${ended === 1 ? 'a day' : `${ended} days`} later, in pgbackrest/ 7 days, of records 30 days, and never before its lock ends; uploads that did not end are aborted after a day`,
    ...(hasStorageClasses(repository)
      ? []
      : ['the store has no storage classes: everything lies in the one it has, and nothing is moved']),
  ];
}

/** One line for each text, with the databases that it is of; of all of them: without names. */
function byRetention(
  tier: string,
  databases: readonly DatabaseView[],
  describe: (database: DatabaseView) => [retentionMs: number, text: string] | null,
): string[] {
  const texts = Map.groupBy(
    databases.flatMap((database) => {
      const described = describe(database);
      if (described === null) return [];
      const [retentionMs, text] = described;
      return [{ name: database.name, text: `${tier} ${formatDuration(retentionMs)}`, rest: text }];
    }),
    ({ text, rest }) => JSON.stringify([text, rest]),
  );
  return [...texts.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    return [`${first.text}${texts.size === 1 ? '' : ` (${namesOf(same)})`}: ${first.rest}`];
  });
}

function namesOf(same: readonly { name: string }[]): string {
  const names = same.slice(0, NAMED).map(({ name }) => name);
  return `${names.join(', ')}${same.length > NAMED ? ` and ${same.length - NAMED} more` : ''}`;
}

const day = (time: string): string => time.slice(0, 10);
const charge = (text: string | null): string => (text === null ? '' : `; ${text}`);
