import type { DatabaseView } from '../../config/describe.ts';
import type { Manifest, StoredObject } from '../../model/backup.ts';
import { parseSegmentName } from '../../model/wal.ts';
import { usableBases } from '../bases.ts';
import { indexLogs, numberOf } from '../chain.ts';
import { firstStanza } from '../history.ts';
import { snapshotFolder, toolBackupFolder } from '../layout.ts';
import type { AuditedNode, AuditedVersion } from './facts.ts';
import { type ArchiveRuns, runsIn } from './log-runs.ts';
import { type LogRecords, shippedLogsIn } from './shipped-logs.ts';
import { shippedRunsOf } from './shipped-runs.ts';
import type { HeldDatabase, HeldStanza, Tree } from './tree.ts';

/** A backup of the catalog with the version of its manifest. */
export interface Published {
  manifest: Manifest;
  version: AuditedVersion;
}

/** Everything of a database that can be restored, and the logs: each in the one version of every key that counts. */
export function nodesOf(
  database: Pick<DatabaseView, 'name' | 'stanza' | 'former'> & Partial<Pick<DatabaseView, 'bases'>>,
  tree: Tree,
  published: readonly Published[],
  now: number,
  records: LogRecords = new Map(),
): AuditedNode[] {
  if (database.bases === 'logical') return nodesOfShipped(database.name, tree, published, records);
  const manifests = published.map(({ manifest }) => manifest);
  const { segmentBytes } = indexLogs({ manifests, segments: [], heartbeats: [] });
  const archives = runsIn(database, tree, { segmentBytes, now });
  const own = tree.databases.get(database.name);
  return [
    ...published.map((one) => {
      if (one.manifest.tier === 'logical') return logicalNode(one, own);
      if (one.manifest.tier === 'snapshot') return snapshotNode(one, own);
      const stanza = one.manifest.stanza ?? firstStanza(database);
      return baseNode(one, { stanza, held: tree.stanzas.get(stanza), own, archives, segmentBytes });
    }),
    ...archives.flatMap(({ nodes }) => nodes),
  ];
}

/** Of a database whose logs we ship: they are replayed from logical backups. */
function nodesOfShipped(
  name: string,
  tree: Tree,
  published: readonly Published[],
  records: LogRecords,
): AuditedNode[] {
  const own = tree.databases.get(name);
  const logs = shippedRunsOf(shippedLogsIn(tree, name, records));
  const usable = new Set(usableBases(published.map(({ manifest }) => manifest)));
  return [
    ...published.flatMap((one) => {
      const { manifest } = one;
      if (manifest.tier === 'snapshot') return [snapshotNode(one, own)];
      if (manifest.tier !== 'logical') return [];
      return [{ ...logicalNode(one, own), ...(usable.has(manifest) ? logs.replayOf(manifest) : {}) }];
    }),
    ...logs.nodes,
  ];
}

type Held = HeldDatabase | undefined;

function logicalNode(one: Published, own: Held): AuditedNode {
  const held = own?.backups.logical.get(one.manifest.id) ?? [];
  return { ...common(one, own, held), kind: 'logical', readBy: 'version' };
}

/** All that lies in its folder: of a copied tool's tree the manifest does not name every file. */
function snapshotNode(one: Published, own: Held): AuditedNode {
  const { manifest, version } = one;
  const held = own?.backups.snapshot.get(manifest.id) ?? [];
  const { missing, versions, ...node } = common(one, own, held);
  const keys = new Set(versions.map(({ key }) => key));
  const others = asOf(held, version.writtenAt).filter(({ key }) => !keys.has(key));
  const folder = snapshotFolder(manifest.database, manifest.id);
  return {
    ...node,
    kind: 'snapshot',
    // Of a copied tool's tree the tool reads the keys.
    readBy: manifest.copyOf?.tier === 'physical' ? 'key' : 'version',
    versions: [...versions, ...others],
    missing: held.length === 0 ? [folder] : missing,
  };
}

function baseNode(
  one: Published,
  at: {
    stanza: string;
    held: HeldStanza | undefined;
    own: Held;
    archives: readonly ArchiveRuns[];
    segmentBytes: number;
  },
): AuditedNode {
  const { manifest } = one;
  const folder = `${toolBackupFolder(at.stanza)}${manifest.id}/`;
  const held = at.held?.bases.get(manifest.id) ?? [];
  const { missing, versions, ...node } = common(one, at.own, []);
  const files = asOf(held, one.version.writtenAt);
  const manifestOfTool = `${folder}backup.manifest`;
  const gone = files.length === 0 ? [folder] : [];
  const headless = gone.length === 0 && !files.some(({ key }) => key === manifestOfTool);
  return {
    ...node,
    kind: manifest.kind,
    readBy: 'key',
    versions: [...versions, ...files],
    missing: [...missing, ...gone, ...(headless ? [manifestOfTool] : [])],
    ...replayOf(manifest, at),
  };
}

function common({ manifest, version }: Published, own: Held, held: readonly AuditedVersion[]) {
  const beside = own?.beside.get(manifest.id) ?? [];
  const { found, missing } = pick(manifest, [...held, ...beside]);
  return {
    id: manifest.id,
    startedAt: Date.parse(manifest.startedAt),
    finishedAt: Date.parse(manifest.finishedAt),
    needs: manifest.dependsOn,
    versions: [...found, version],
    missing,
  };
}

/** What a manifest names, in the named version; RESTORE.md may have been written again, and then the newest counts. */
function pick(manifest: Manifest, held: readonly AuditedVersion[]) {
  const { databases, globals, relations, instructions } = manifest;
  const objects: (Pick<StoredObject, 'key' | 'versionId'> | null | undefined)[] = [
    ...databases.flatMap((database) => [...database.objects, database.schema]),
    ...[globals, relations],
    instructions === null ? null : { key: instructions.key, versionId: null },
  ];
  const byKey = Map.groupBy(held, ({ key }) => key);
  const found: AuditedVersion[] = [];
  const missing: string[] = [];
  for (const object of objects) {
    if (object == null) continue;
    const versions = byKey.get(object.key) ?? [];
    const version =
      object.versionId === null
        ? versions[0]
        : versions.find(({ versionId }) => versionId === object.versionId);
    if (version !== undefined) found.push(version);
    // Without it `find` knows less; it restores all the same.
    else if (object !== relations) missing.push(object.key);
  }
  return { found, missing };
}

/**
 * Of each key the version that was the newest when the backup was done: what was written later is a forgery on top of it,
 * what was written before is the tool's own draft.
 */
export function asOf(versions: readonly AuditedVersion[], doneAt: number): AuditedVersion[] {
  return [...Map.groupBy(versions, ({ key }) => key).values()].flatMap((ofKey) => {
    return ofKey.find(({ writtenAt }) => writtenAt <= doneAt) ?? ofKey.at(-1) ?? [];
  });
}

function replayOf(
  { positions, serverVersion }: Manifest,
  {
    stanza,
    archives,
    segmentBytes,
  }: { stanza: string; archives: readonly ArchiveRuns[]; segmentBytes: number },
): Pick<AuditedNode, 'replayFrom'> {
  const { startLog, stopLog } = positions;
  const start = startLog === null ? null : parseSegmentName(startLog, segmentBytes);
  const stop = stopLog === null ? null : numberOf(stopLog, segmentBytes);
  if (start === null || stop === null) return {};
  const { timeline } = start;
  const first = Number(start.number);
  // The incarnations that it may be of, as the catalogue takes them: the youngest that has its logs.
  const fitting = archives.filter(
    (one) => one.stanza === stanza && Number.parseInt(one.name, 10) === Number.parseInt(serverVersion, 10),
  );
  const own =
    fitting.find(({ nodes }) =>
      nodes.some(
        ({ segments }) =>
          segments?.timeline === timeline && segments.first <= first && first <= segments.last,
      ),
    ) ?? fitting[0];
  return { replayFrom: { archive: own?.id ?? `${stanza}/?`, timeline, first, stop } };
}
