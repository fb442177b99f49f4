import type { AuditFinding } from '../../model/audit.ts';
import { formatDuration } from '../../model/duration.ts';
import { toolInfoKeys } from '../layout.ts';
import { type Backup, isBase, isInStanza, isManifest, rootOf } from './backup.ts';
import { DAY_MS, dayOf } from './calendar.ts';
import type { AuditedVersion, AuditFacts } from './facts.ts';
import { neededLogs, type Outlook } from './outlook.ts';
import { promisedBackups } from './present.ts';
import { finding, firstDay, more, nameOf, plural } from './words.ts';

/** Clocks and roundings: a lock that is so much shorter is not. */
const TOLERANCE_MS = 60_000;
interface Loose {
  code: 'not-locked' | 'lock-short';
  name: string;
  version: AuditedVersion;
  until: number;
}

/** Locks that are not there, end before what they protect is needed no more, or are of the weaker mode. */
export function tellLocks(
  outlook: Outlook,
  bucket: AuditFacts['bucket'],
  toolFiles: ReadonlyMap<string, AuditedVersion>,
): AuditFinding[] {
  const { name, policy } = outlook.database;
  if (policy.lock === null) return [];
  const isShortOf = (version: AuditedVersion, until: number): Loose['code'] | null => {
    const { lock, legalHold } = version;
    if (lock === undefined || legalHold === true) return null;
    if (lock === null) return 'not-locked';
    const isWeaker = policy.lock === 'COMPLIANCE' && lock.mode === 'GOVERNANCE';
    return isWeaker || lock.until + TOLERANCE_MS < until ? 'lock-short' : null;
  };
  const loose: Loose[] = [];
  const look = (of: string, version: AuditedVersion, until: number) => {
    const code = isShortOf(version, until);
    if (code !== null) loose.push({ code, name: of, version, until });
  };
  for (const { backup, until } of requiredLocks(outlook)) {
    for (const version of backup.node?.versions ?? []) {
      // Of a full the differentials need the tool's files; its own manifest is locked for its own promise.
      look(nameOf(backup), version, isManifest(version.key) ? backup.promisedUntil : until);
    }
  }
  for (const { node, until } of neededLogs(outlook)) {
    for (const version of node.versions) look('the logs', version, until);
  }
  const { archive, backup } = toolInfoKeys(outlook.database.stanza);
  const until = lastPromise(outlook);
  for (const version of [...archive, ...backup].map((key) => toolFiles.get(key))) {
    if (version !== undefined && until > outlook.horizon.now) look('the tool itself', version, until);
  }
  const groups = Map.groupBy(loose, ({ code }) => code);
  return [
    ...[...groups].map(([code, ofCode]) => tellLoose(name, code, ofCode, outlook)),
    ...tellDefault(outlook, bucket),
  ];
}

function tellLoose(
  database: string,
  code: Loose['code'],
  loose: readonly Loose[],
  { horizon, database: { policy } }: Outlook,
): AuditFinding {
  // The one that is loose first is told.
  const first = loose.reduce((soonest, one) => (endOf(one) < endOf(soonest) ? one : soonest));
  const { version, until, name } = first;
  const lock = version.lock ?? null;
  const ends = lock === null ? null : lock.until;
  const isWeaker = ends !== null && ends + TOLERANCE_MS >= until;
  const what =
    ends === null
      ? `nothing locks ${version.key} of ${name}, and it is needed until ${dayOf(until)}`
      : isWeaker
        ? `${version.key} of ${name} is locked in ${lock?.mode}, and ${policy.lock} is configured`
        : `the lock on ${version.key} of ${name} ends on ${dayOf(ends)}, ${formatDuration(until - ends)} before it is needed no more (${dayOf(until)})`;
  return finding('warning', code, {
    database,
    what: `${what}${more(loose.length - 1, 'object is as loose', 'objects are as loose')}`,
    firstDay: ends === null || isWeaker ? null : firstDay(ends, horizon),
    hint:
      code === 'not-locked'
        ? 'a bucket with Object Lock and a default retention locks what is written from then on: holdfast repository plan shows it, apply sets it'
        : 'see who shortened it, and extend it: a lock can be made longer at any time; later backups are locked as configured',
  });
}

const endOf = ({ version }: Loose): number => version.lock?.until ?? Number.NEGATIVE_INFINITY;

/** Until when each backup that is there has to be locked: a full until the last promise of its differentials. */
function requiredLocks(outlook: Outlook): { backup: Backup; until: number }[] {
  const promised = promisedBackups(outlook);
  const until = new Map(promised.map((backup) => [backup, backup.promisedUntil]));
  for (const backup of promised.filter(isBase)) {
    const root = rootOf(backup);
    if (root === backup || root.node === null) continue;
    until.set(root, Math.max(until.get(root) ?? root.promisedUntil, backup.promisedUntil));
  }
  const required = [...until].map(([backup, at]) => ({ backup, until: at }));
  return required.filter((one) => one.until > outlook.horizon.now);
}

/** The tool reads its own files for each of its backups. */
function lastPromise(outlook: Outlook): number {
  const { stanza } = outlook.database;
  return promisedBackups(outlook)
    .filter((backup) => isBase(backup) && isInStanza(backup, stanza))
    .reduce((last, { promisedUntil }) => Math.max(last, promisedUntil), Number.NEGATIVE_INFINITY);
}

/** What locks the logs to come, the bucket's default retention or we ourselves: the first that it lets go too early. */
function tellDefault({ database, chains, window, horizon }: Outlook, bucket: AuditFacts['bucket']) {
  if (window === null || bucket.objectLock === null) return [];
  const { shippedLockMs } = database.policy;
  const lock =
    shippedLockMs === undefined ? bucket.objectLock.retention : { days: Math.round(shippedLockMs / DAY_MS) };
  const hint =
    shippedLockMs === undefined
      ? 'holdfast repository plan shows the default retention that covers the logs; apply sets it'
      : 'make logical backups more often: logs are locked for the window and the time between two';
  if (lock === null) {
    const what = 'the bucket has no default retention: nothing locks the logs that are archived from now on';
    return [finding('warning', 'not-locked', { database: database.name, what, hint })];
  }
  const bases = chains.serving.map(({ base }) => base).sort((a, b) => a.startedAt - b.startedAt);
  for (const [index, base] of bases.entries()) {
    const next = bases[index + 1];
    if (next === undefined || base.node !== null) continue;
    // The first log behind a base waits the longest for the window to begin in the next one.
    const ends = base.startedAt + lock.days * DAY_MS;
    const until = next.finishedAt + window.windowMs;
    if (ends + TOLERANCE_MS >= until || ends >= horizon.end) continue;
    const what = `logs archived from ${dayOf(base.startedAt)} on are locked for ${plural(lock.days, 'day')}, until ${dayOf(ends)}, and needed until ${dayOf(until)}`;
    return [
      finding('warning', 'lock-short', {
        ...{ database: database.name, what, hint },
        firstDay: firstDay(ends, horizon),
      }),
    ];
  }
  return [];
}
