import { type DatabaseView, describeDatabase } from '../../config/describe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import type { AuditFinding } from '../../model/audit.ts';
import type { Manifest } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { mapBounded } from '../bounded.ts';
import { readBucketSettings } from '../bucket/read.ts';
import type { BucketSettings } from '../bucket/settings.ts';
import { manifestsOf, stanzasOf } from '../history.ts';
import { TOOL_FOLDER } from '../layout.ts';
import { readManifests } from '../manifests.ts';
import { readCopies } from '../repair/copies.ts';
import type { Repository } from '../repository.ts';
import { readLogRecord } from '../shipped/logs.ts';
import type { AuditedDatabase, AuditedVersion, AuditFacts } from './facts.ts';
import { askVersions, versionsToAsk } from './heads.ts';
import { readKeys } from './key-states.ts';
import { listEverything, type Refused } from './listing.ts';
import { nodesOf, type Published } from './nodes.ts';
import { byKey, orphansOf } from './orphans.ts';
import { policyOf } from './policy.ts';
import { withRepairs } from './put-back.ts';
import { type LogRecords, recordsToRead } from './shipped-logs.ts';
import { addTo, emptyTree, type Tree } from './tree.ts';
import { unlooked } from './unlooked.ts';

const DATABASES_AT_ONCE = 8;
const RECORDS_AT_ONCE = 16;

export interface ReadOptions extends Run {
  now: Date;
  /** asks every object for its lock and key, not a sample of those that a tool wrote */
  thorough: boolean;
}

/** The facts, what the bucket says of itself, and what could not be looked at. */
export interface AuditReading {
  facts: AuditFacts;
  /** null: it may not be read */
  settings: BucketSettings | null;
  findings: AuditFinding[];
}

/**
 * Everything that the audit is about, read live: one listing of all versions, manifests, the bucket's settings, and each
 * object's lock and key. A database that cannot be read is said, and does not stop the others. Rejects with
 * RepositoryUnavailable.
 */
export async function readAuditFacts(
  { config, directory }: LoadedConfig,
  repository: Repository,
  options: ReadOptions,
): Promise<AuditReading> {
  const { signal, progress } = options;
  const now = options.now.getTime();
  const findings: AuditFinding[] = [];
  const settings = await readSettings(repository, options, findings);
  const views = Object.keys(config.databases).map((name) => describeDatabase(config, name));
  // Before the listing: what a manifest names is there when it is listed.
  const manifests = await readManifestsOf(repository, views, options, findings);
  const { tree, refused } = await listTree(repository, options);
  const records = await readRecordsOf(repository, views, tree, options);
  const databases = databasesOf(config, views, { manifests, tree, refused, now, records }, findings);

  const ours = new Set(views.flatMap(stanzasOf));
  const toolFiles = [...tree.stanzas]
    .flatMap(([stanza, { files }]) => (ours.has(stanza) ? files : []))
    .toSorted(byKey);
  const asked = versionsToAsk(databases, toolFiles, options.thorough);
  const unasked = await askVersions(repository, asked, {
    signal,
    progress: (done) => progress({ phase: 'asking for locks and keys', done, total: asked.length }),
  });
  const closed = [...asked, ...manifestsOfUnread(views, databases, tree)];
  const keys = await readKeys(repository, { config: config.repository, directory, closed, signal });
  findings.push(...keys.findings);
  // Of a key that opens nothing more important things are said than that nobody knows its objects' locks.
  const isExplained = Object.values(keys.states).some((state) => state !== 'enabled');
  if (unasked.first !== null && !isExplained) findings.push(unlooked.objects(unasked.count, unasked.first));

  const { bucket, prefix, region } = config.repository;
  const { versioning = 'enabled', objectLock = null, rules = [] } = settings ?? {};
  return {
    facts: {
      now,
      repository: { bucket, prefix, region },
      ...{ bucket: { versioning, objectLock }, rules },
      ...{ kmsKeyId: keys.configured, keys: keys.states },
      ...{ databases, toolFiles },
      orphans: orphansOf(tree, views, databases, now),
      looked: { ...tree.looked, headed: asked.length - unasked.count },
    },
    settings,
    findings,
  };
}

async function readSettings(
  { connection }: Repository,
  { signal, progress }: ReadOptions,
  findings: AuditFinding[],
): Promise<BucketSettings | null> {
  progress({ phase: 'reading the settings of the bucket' });
  try {
    return await readBucketSettings(connection, signal);
  } catch (error) {
    findings.push(unlooked.settings(refusalOf(error)));
    return null;
  }
}

/** By database; one that cannot be read is not in it. */
async function readManifestsOf(
  repository: Repository,
  views: readonly DatabaseView[],
  { now, progress }: ReadOptions,
  findings: AuditFinding[],
): Promise<Map<string, Manifest[]>> {
  progress({ phase: 'reading the manifests' });
  const manifests = new Map<string, Manifest[]>();
  await mapBounded(views, DATABASES_AT_ONCE, async (view) => {
    try {
      const found = await readManifests(repository, view.name, now);
      manifests.set(view.name, manifestsOf(view, found.manifests));
      findings.push(...found.unreadable.map(({ backup }) => unlooked.manifest(view.name, backup)));
    } catch (error) {
      findings.push(unlooked.database(view.name, refusalOf(error)));
    }
  });
  return manifests;
}

async function listTree(
  repository: Repository,
  { signal, progress }: ReadOptions,
): Promise<{ tree: Tree; refused: Refused[] }> {
  const tree = emptyTree();
  const copies = await readCopies(repository, signal);
  const refused = await listEverything(repository, (found) => addTo(tree, withRepairs(found, copies)), {
    signal,
    progress: (keys) => progress({ phase: 'listing every version', done: keys }),
  });
  return { tree, refused };
}

/** Of shipped logs whose names do not tell all. One that cannot be read is judged by its names. */
async function readRecordsOf(
  repository: Repository,
  views: readonly DatabaseView[],
  tree: Tree,
  { signal, progress, thorough }: ReadOptions,
): Promise<LogRecords> {
  const shipped = views.filter(({ bases }) => bases === 'logical');
  const keys = shipped.flatMap(({ name }) => recordsToRead(tree, name, thorough));
  if (keys.length > 0) progress({ phase: 'reading records of logs', total: keys.length });
  const read = await mapBounded(keys, RECORDS_AT_ONCE, async (key) => {
    try {
      return [[key, await readLogRecord(repository, { key, name: key }, signal)] as const];
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof HoldfastError && error.type === 'RepositoryUnavailable') throw error;
      return [];
    }
  });
  return new Map(read.flat());
}

/** Every database that could be read. */
function databasesOf(
  config: Config,
  views: readonly DatabaseView[],
  of: {
    manifests: ReadonlyMap<string, Manifest[]>;
    tree: Tree;
    refused: readonly Refused[];
    now: number;
    records: LogRecords;
  },
  findings: AuditFinding[],
): AuditedDatabase[] {
  const isOfOne = ({ prefix }: Refused) => views.some((view) => concerns(prefix, view));
  findings.push(...of.refused.filter((one) => !isOfOne(one)).map(unlooked.prefix));
  return views.flatMap((view) => {
    const { name, stanza } = view;
    const manifests = of.manifests.get(name);
    if (manifests === undefined) return [];
    const stopped = of.refused.find(({ prefix }) => concerns(prefix, view));
    if (stopped !== undefined) {
      findings.push(unlooked.database(name, stopped.why));
      return [];
    }
    const nodes = nodesOf(view, of.tree, withVersions(manifests, of.tree), of.now, of.records);
    return [{ name, stanza, policy: policyOf(view, config.repository), nodes }];
  });
}

/** What a refusal says; everything else is a failure of the whole audit. */
function refusalOf(error: unknown): string {
  if (error instanceof HoldfastError && error.type === 'RepositoryRefused') return error.message;
  throw error;
}

/** A folder that could not be listed holds things of a database, or the folders of it. */
function concerns(prefix: string, view: DatabaseView): boolean {
  const [top = '', second = '', third = ''] = prefix.split('/');
  if (top === TOOL_FOLDER) return third === '' || stanzasOf(view).includes(third);
  const ours = ['', 'logical', 'snapshot', 'manifest', ...(view.bases === 'logical' ? ['log'] : [])];
  return ours.includes(top) && (second === '' || second === view.name);
}

/** A key that cannot be used is one reason why manifests cannot be read: one of each such database is tried. */
function manifestsOfUnread(
  views: readonly DatabaseView[],
  read: readonly AuditedDatabase[],
  tree: Tree,
): AuditedVersion[] {
  const unread = views.filter(({ name }) => !read.some((one) => one.name === name));
  return unread.flatMap(({ name }) =>
    [...(tree.databases.get(name)?.manifests.values() ?? [])].flat().slice(0, 1),
  );
}

/** Written once: the oldest version is the manifest. One that was removed since it was read is no backup any more. */
function withVersions(manifests: readonly Manifest[], tree: Tree): Published[] {
  return manifests.flatMap((manifest) => {
    const version = tree.databases.get(manifest.database)?.manifests.get(manifest.id)?.at(-1);
    return version === undefined ? [] : [{ manifest, version }];
  });
}
