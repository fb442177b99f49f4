import type { AuditFinding } from '../../model/audit.ts';
import { shippedLogOf } from '../layout.ts';
import type { Backup } from './backup.ts';
import type { AuditedVersion } from './facts.ts';
import { fateOfVersion, type World } from './life.ts';
import { neededLogs, type Outlook } from './outlook.ts';
import type { Stretch } from './replay.ts';
import { basesOf, finding, more, nameOf, plural } from './words.ts';

/** What is wrong now with what is promised: gone, deleted or overwritten. */
export function tellPresent(outlook: Outlook, world: World): AuditFinding[] {
  const promised = promisedBackups(outlook);
  return [
    ...tellMissing(outlook, promised),
    ...tellCovered(outlook, promised, world),
    ...tellCoveredLogs(outlook, world),
    ...tellLogs(outlook),
  ];
}

/** Backups that are there and promised, or that something promised needs, be it still to be made. */
export function promisedBackups({ lives, horizon }: Outlook): Backup[] {
  const promised = new Set<Backup>();
  const add = (backup: Backup) => {
    if (promised.has(backup)) return;
    promised.add(backup);
    for (const need of backup.needs) add(need);
  };
  for (const backup of lives.keys()) if (backup.promisedUntil > horizon.now) add(backup);
  return [...lives.keys()].filter((backup) => backup.node !== null && promised.has(backup));
}

const RESTORE_HINT =
  'holdfast catalog shows what can be restored instead; holdfast backup makes a new one, as soon as the cause is known';

function tellMissing(outlook: Outlook, promised: readonly Backup[]): AuditFinding[] {
  const lacking = promised.filter(({ node, lacks }) => (node?.missing.length ?? 0) + lacks.length > 0);
  const [first] = lacking;
  if (first === undefined) return [];
  const { node, lacks } = first;
  const [key] = node?.missing ?? [];
  const lost =
    key === undefined
      ? `needs ${lacks[0]}, which is not in the repository`
      : `has lost ${plural(node?.missing.length ?? 0, 'object')} that it cannot be restored without (${key})`;
  const what = `${nameOf(first)} ${lost}${needing(first, outlook)}${more(lacking.length - 1, 'backup lacks something too', 'backups lack something too')}`;
  const { name } = outlook.database;
  return [finding('critical', 'missing', { database: name, what, hint: RESTORE_HINT })];
}

/** How many others are lost with it, also of those that the schedules will make. */
function needing(gone: Backup, { lives, horizon }: Outlook): string {
  const others = [...lives.keys()].filter(
    ({ needs, promisedUntil }) => needs.includes(gone) && promisedUntil > horizon.now,
  );
  const there = others.filter(({ node }) => node !== null).length;
  const planned = others.length - there;
  const lost = `${plural(there, 'differential')} ${there === 1 ? 'needs it and is' : 'need it and are'} lost with it`;
  return [
    ...(there === 0 ? [] : [`: ${lost}`]),
    ...(planned === 0 ? [] : [`; ${plural(planned, 'differential')} to be made would build on it`]),
  ].join('');
}

const REPAIR_HINT =
  'holdfast repository repair shows what it would take away, asks, and puts the good versions back on top';

interface Covered {
  backup: Backup;
  versions: AuditedVersion[];
}

/** What lies under a delete marker or a newer version: the end for a tool, and for ours a thing to mend. */
function tellCovered(outlook: Outlook, promised: readonly Backup[], world: World): AuditFinding[] {
  const groups = new Map<string, Covered[]>();
  for (const backup of promised) {
    const { versions = [], readBy = 'key' } = backup.node ?? {};
    const covered = versions.filter(
      ({ noncurrentSince, repaired }) => noncurrentSince !== null && repaired !== true,
    );
    const byFate = Map.groupBy(covered, (version) => {
      const isLost = fateOfVersion(version, readBy, world).unreadable.at === Number.NEGATIVE_INFINITY;
      return `${version.under === 'version' ? 'overwritten' : 'behind-marker'} ${isLost}`;
    });
    for (const [fate, ofFate] of byFate)
      groups.set(fate, [...(groups.get(fate) ?? []), { backup, versions: ofFate }]);
  }
  return [...groups].map(([fate, ofFate]) => {
    const [code, isLost] = fate.split(' ') as ['overwritten' | 'behind-marker', string];
    const [first] = ofFate as [Covered];
    const on = code === 'overwritten' ? 'a newer version lies' : 'a delete marker lies';
    const effect =
      isLost === 'true'
        ? `what lies below is not seen any more, and it cannot be restored${needing(first.backup, outlook)}`
        : 'it can be restored all the same, by its versions';
    return finding(isLost === 'true' ? 'critical' : 'warning', code, {
      database: outlook.database.name,
      what: `${on} on top of ${plural(first.versions.length, 'object')} of ${nameOf(first.backup)} (${first.versions[0]?.key}): ${effect}${more(ofFate.length - 1, 'backup lies below the same', 'backups lie below the same')}`,
      hint: `${REPAIR_HINT}; see who deleted or overwrote them`,
    });
  });
}

/**
 * Logs that we ship and that the window needs, below a marker or a newer version, and readable all the same: a thing to
 * mend before rules remove what lies below.
 */
function tellCoveredLogs(outlook: Outlook, world: World): AuditFinding[] {
  const { database, horizon } = outlook;
  if (database.policy.shippedLockMs === undefined) return [];
  const covered = neededLogs(outlook).flatMap(({ node }) =>
    node.versions.filter(
      (version) =>
        version.noncurrentSince !== null &&
        version.repaired !== true &&
        fateOfVersion(version, node.readBy, world).unreadable.at > horizon.now,
    ),
  );
  const groups = Map.groupBy(covered, ({ under }) => (under === 'version' ? 'overwritten' : 'behind-marker'));
  return [...groups].map(([code, versions]) =>
    finding('warning', code, {
      database: database.name,
      what: `${code === 'overwritten' ? 'a newer version lies' : 'a delete marker lies'} on top of ${plural(versions.length, 'object')} of the logs (${versions[0]?.key}): they can be replayed all the same, by their versions`,
      hint: REPAIR_HINT,
    }),
  );
}

const LOG_FATES = {
  missing: ['is missing', 'are missing'],
  overwritten: ['is overwritten', 'are overwritten'],
  'behind-marker': ['lies behind a delete marker', 'lie behind delete markers'],
} as const;

/** Logs that the window needs now, and that are not there. */
function tellLogs(outlook: Outlook): AuditFinding[] {
  const { chains, window, horizon, lives, database } = outlook;
  const { policy } = database;
  if (window === null || window.holes[0] === undefined || window.holes[0].from > horizon.now) return [];
  const begin = Math.max(horizon.now - window.windowMs, chains.begins);
  const bases = chains.serving.filter(({ base }) => {
    const life = lives.get(base);
    return base.node?.replayFrom !== undefined && life !== undefined && life.restorable.at > horizon.now;
  });
  const base = bases.findLast(({ from }) => from <= begin) ?? bases[0];
  const replay = base?.base.node?.replayFrom;
  if (base === undefined || replay === undefined) return [];
  const { first } = replay;
  const stretches = chains.stretchesOver(replay.timeline);
  const lost = stretches.filter(
    ({ last, ending }) => last >= first && ending.at === Number.NEGATIVE_INFINITY,
  );
  const groups = Map.groupBy(lost, ({ node }) => {
    const under = node?.versions.find((version) => version.noncurrentSince !== null)?.under;
    return under === 'version' ? 'overwritten' : under === 'marker' ? 'behind-marker' : 'missing';
  });
  return [...groups].map(([code, ofCode]) => {
    const count = ofCode.reduce((sum, one) => sum + one.last - Math.max(one.first, first) + 1, 0);
    const [hole] = ofCode as [Stretch];
    const where = logNameOf(stretches, hole);
    const [one, many] = LOG_FATES[code];
    return finding('critical', code, {
      database: database.name,
      what: `${plural(count, 'log')} ${count === 1 ? one : many}, ${where}: no recovery from ${nameOf(base.base)} goes beyond`,
      hint:
        code === 'missing'
          ? `if the server still has them, ${policy.shippedLockMs === undefined ? 'archive them by hand' : 'the log watch brings them again'}; holdfast backup ${basesOf(policy).begin} begins a new interval at once`
          : REPAIR_HINT,
    });
  });
}

/** `from 000000010000000000000005 on`, or what they lie behind. */
function logNameOf(stretches: readonly Stretch[], hole: Stretch): string {
  const nameIn = (key = '') =>
    shippedLogOf(key) === null
      ? /([0-9A-F]{24})[^/]*$/.exec(key)?.[1]
      : decodeURIComponent(key.split('/')[3] ?? '');
  const own = nameIn(hole.node?.versions[0]?.key);
  if (own !== undefined) return `from ${own} on`;
  const before = stretches[stretches.indexOf(hole) - 1]?.node?.versions.at(-1)?.key;
  const behind = nameIn(before);
  return behind === undefined ? `from number ${hole.first} on` : `behind ${behind}`;
}
