import type {
  AuditedDatabase,
  AuditedNode,
  AuditedVersion,
  AuditFacts,
} from '../../../../src/repository/audit/facts.ts';
import { fires, isSnapshotTime } from './model-schedule.ts';
import { DAY, foundThing, isArchive, isReadable, remove, type Store, type Thing } from './model-store.ts';
import { rewriteBackupInfo, type ToolFiles, toolFilesOf } from './model-tool-files.ts';

const LARGE = 1_073_741_824;
const SMALL = 16_384;
const LOG = 1_048_576;

type Kind = Exclude<AuditedNode['kind'], 'logs'>;

/** A backup, or the logs of a day, that is there or was made during the walk. */
export interface Held {
  kind: AuditedNode['kind'];
  startedAt: number;
  finishedAt: number;
  /** and what those need */
  needs: Held[];
  things: Thing[];
  /** incomplete as it was found */
  isMissing: boolean;
  /** it was worth nothing when the walk began */
  wasDead: boolean;
  /** null: it is of the future */
  found: AuditedNode | null;
}

/** One database on the walk. */
export interface Walked {
  facts: AuditedDatabase;
  /** that logs go to now */
  archive: string | undefined;
  held: Held[];
  toolFiles: ToolFiles;
  /** fulls that the tool knows of, the oldest first */
  books: Held[];
  /** bases that started before have no logs */
  cutoff: number;
}

export const isSound = (held: Held, at: number): boolean =>
  !held.isMissing && held.things.every((thing) => isReadable(thing, at));
export const isRestorable = (held: Held, at: number): boolean =>
  isSound(held, at) && held.needs.every((needed) => isSound(needed, at));

export function promisedUntil(held: Held, { policy }: AuditedDatabase): number {
  const { physicalMs, logicalMs, snapshotMs } = policy;
  const kept = { full: physicalMs, diff: physicalMs, logical: logicalMs, snapshot: snapshotMs, logs: 0 };
  return held.finishedAt + kept[held.kind];
}

/** What is there, as it was found. */
export function begin(facts: AuditFacts, database: AuditedDatabase): Walked {
  const held = database.nodes.map((node): Held => {
    const { kind, startedAt, finishedAt } = node;
    const things = node.versions.map((version) => foundThing(facts, version, readByOf(node, version)));
    const isMissing = node.missing.length > 0;
    return { kind, startedAt, finishedAt, needs: [], things, isMissing, wasDead: false, found: node };
  });
  for (const each of held) {
    const needed = neededBy(each.found, database);
    each.needs = needed.map((node) => held.find(({ found }) => found === node) ?? ABSENT);
    each.wasDead = !isSound(each, facts.now);
  }
  const books = held
    .filter((each) => each.kind === 'full' && isInStanza(each, database))
    .sort((a, b) => a.startedAt - b.startedAt);
  return {
    facts: database,
    archive: currentArchive(database),
    held,
    toolFiles: toolFilesOf(facts, database.stanza),
    books,
    cutoff: Number.NEGATIVE_INFINITY,
  };
}

function neededBy(node: AuditedNode | null, database: AuditedDatabase): (AuditedNode | null)[] {
  const direct = (node?.needs ?? []).map((need) => database.nodes.find(({ id }) => id === need) ?? null);
  return direct.flatMap((needed) => [needed, ...neededBy(needed, database)]);
}

/** What something needs, and nobody has. */
const ABSENT: Held = {
  ...{ kind: 'full', startedAt: 0, finishedAt: 0, needs: [], things: [] },
  ...{ isMissing: true, wasDead: true, found: null },
};

/** A database that moved has backups of before in another stanza, which the tool does not touch any more. */
function isInStanza({ found }: Held, { stanza }: AuditedDatabase): boolean {
  const key = found?.versions.find((version) => !version.key.startsWith('manifest/'))?.key;
  return found?.versions.length === 0 || (key?.startsWith(`pgbackrest/backup/${stanza}/`) ?? false);
}

/** Where logs go now: where the newest went, or where the newest base says. */
function currentArchive({ nodes, policy }: AuditedDatabase): string | undefined {
  const newest = (of: AuditedNode[]) => of.toSorted((a, b) => b.finishedAt - a.finishedAt)[0];
  const log = newest(nodes.filter(({ kind }) => kind === 'logs'));
  const isShipped = policy.shippedLockMs !== undefined;
  const base = newest(
    nodes.filter(({ kind }) => (isShipped ? kind === 'logical' : kind === 'full' || kind === 'diff')),
  );
  return log === undefined ? base?.replayFrom?.archive : log.segments?.archive;
}

/** What is no manifest on top of one is passed over, so that only a marker hides it. */
function readByOf(node: AuditedNode, { key, under }: AuditedVersion): Thing['readBy'] {
  // Of a shipped log the record is looked up by its key, and its first version is read.
  if (key.startsWith('log/') && key.endsWith('.json')) return under === 'version' ? 'version' : 'key';
  if (!key.startsWith('manifest/')) return node.readBy;
  return under === 'version' ? 'version' : 'manifest';
}

/** What the schedules make of a database at this minute; the tool expires its own at the end of it. */
export function makeDue(facts: AuditFacts, store: Store, walked: Walked, at: number): void {
  const { policy } = walked.facts;
  const isFull = fires(policy.fulls, at);
  if (isFull || fires(policy.diffs, at)) {
    const kept = toldToKeep(walked, isFull, at);
    const full = isFull ? undefined : walked.books.at(-1);
    if (full === undefined) walked.books.push(make(facts, store, walked, 'full', at, []));
    else {
      make(facts, store, walked, 'diff', at, [full]);
      if (facts.bucket.objectLock !== null && policy.lock !== null) {
        for (const thing of full.things.filter((each) => isReadable(each, at))) {
          thing.lockUntil = Math.max(thing.lockUntil, at + policy.physicalMs);
        }
      }
    }
    rewriteBackupInfo(walked.toolFiles, at);
    expireByTool(store, walked, at, kept);
  }
  if (fires(policy.logicals, at)) make(facts, store, walked, 'logical', at, []);
  if (isSnapshotTime(facts.now, walked.facts, at)) make(facts, store, walked, 'snapshot', at, []);
}

/** The logs of the day that ends now. */
export function makeLogs(facts: AuditFacts, store: Store, walked: Walked, midnight: number): void {
  if (walked.facts.policy.windowMs === null) return;
  const at = midnight - 1;
  if (walked.facts.policy.shippedLockMs !== undefined) {
    walked.held.push(shippedLogs(facts, store, walked, midnight));
    return;
  }
  const folder = `pgbackrest/archive/${walked.archive ?? walked.facts.stanza}/`;
  const things = [newThing(facts, store, folder, LOG, 'STANDARD', 'key', at)];
  const startedAt = Math.max(facts.now, midnight - DAY);
  const held: Held = { kind: 'logs', startedAt, finishedAt: at, needs: [], ...fresh(things) };
  walked.held.push(held);
}

/** Each has a record and its content, and a lock of its own. */
function shippedLogs(facts: AuditFacts, store: Store, walked: Walked, midnight: number): Held {
  const { name, policy } = walked.facts;
  const at = midnight - 1;
  const folder = `log/${name}/`;
  const things = [
    newThing(facts, store, folder, SMALL, 'STANDARD', 'key', at),
    newThing(facts, store, folder, LOG, 'STANDARD', 'version', at),
  ];
  if (facts.bucket.objectLock !== null && policy.lock !== null) {
    for (const thing of things) thing.lockUntil = Math.max(thing.lockUntil, at + (policy.shippedLockMs ?? 0));
  }
  const startedAt = Math.max(facts.now, midnight - DAY);
  return { kind: 'logs', startedAt, finishedAt: at, needs: [], ...fresh(things) };
}

function make(facts: AuditFacts, store: Store, walked: Walked, kind: Kind, at: number, needs: Held[]): Held {
  const { name, stanza, policy } = walked.facts;
  const ours = { logical: policy.logicalClass, snapshot: policy.snapshotClass };
  const isOurs = kind === 'logical' || kind === 'snapshot';
  const folder = isOurs ? `${kind}/${name}/` : `pgbackrest/backup/${stanza}/`;
  const storageClass = isOurs ? ours[kind] : 'STANDARD';
  const readBy = isOurs ? 'version' : 'key';
  const things = [
    newThing(facts, store, folder, LARGE, storageClass, readBy, at),
    newThing(facts, store, folder, SMALL, storageClass, readBy, at),
    newThing(facts, store, `manifest/${name}/`, SMALL, 'STANDARD', 'manifest', at),
  ];
  const held: Held = { kind, startedAt: at, finishedAt: at, needs, ...fresh(things) };
  if (facts.bucket.objectLock !== null && policy.lock !== null) {
    const until = promisedUntil(held, walked.facts);
    for (const thing of things) thing.lockUntil = Math.max(thing.lockUntil, until);
  }
  walked.held.push(held);
  return held;
}

const fresh = (things: Thing[]) => ({ things, isMissing: false, wasDead: false, found: null });

function newThing(
  facts: AuditFacts,
  store: Store,
  folder: string,
  sizeBytes: number,
  storageClass: string,
  readBy: Thing['readBy'],
  at: number,
): Thing {
  const retention = facts.bucket.objectLock?.retention ?? null;
  const thing: Thing = {
    key: facts.repository.prefix + folder,
    isFound: false,
    hasVersionId: facts.bucket.versioning === 'enabled',
    sizeBytes,
    writtenAt: at,
    isThere: true,
    noncurrentSince: null,
    lockUntil: retention === null ? 0 : at + retention.days * DAY,
    legalHold: false,
    isArchived: isArchive(storageClass),
    readBy,
  };
  store.things.push(thing);
  return thing;
}

/** How many fulls, and of how many the logs. */
interface Kept {
  fulls: number;
  archives: number;
}

/** What is promised still and what the window needs is counted first: the tool counts fulls, and knows no promise. */
function toldToKeep({ held, books, facts }: Walked, isFull: boolean, at: number): Kept {
  const { retentionFull, retentionArchive, windowMs } = facts.policy;
  const newestFirst = books.toSorted((a, b) => b.finishedAt - a.finishedAt);
  const isPromised = (full: Held) =>
    held.some((each) => [each, ...each.needs].includes(full) && promisedUntil(each, facts) > at);
  const promised = newestFirst.findLastIndex(isPromised) + 1;
  const before = newestFirst.findIndex(({ finishedAt }) => finishedAt <= at - (windowMs ?? 0)) + 1;
  const forWindow = before === 0 ? books.length : before;
  const made = isFull ? 1 : 0;
  return {
    fulls: Math.max(retentionFull, promised + made, forWindow + made),
    archives: Math.max(retentionArchive, forWindow + made),
  };
}

/** Fulls beyond the newest so many go, with their differentials; logs from before one of the kept fulls go, too. */
function expireByTool(store: Store, walked: Walked, at: number, kept: Kept): void {
  const gone = walked.books.slice(0, Math.max(0, walked.books.length - kept.fulls));
  walked.books = walked.books.slice(gone.length);
  for (const held of walked.held) {
    if (!gone.includes(held) && !held.needs.some((needed) => gone.includes(needed))) continue;
    for (const thing of held.things) {
      remove(store, thing, at);
      // Its manifest goes, too: what the tool has removed nobody can restore.
      thing.readBy = 'key';
    }
  }
  const oldest = walked.books.at(-kept.archives);
  if (oldest !== undefined) walked.cutoff = Math.max(walked.cutoff, oldest.startedAt);
}
