import type { DatabaseView } from '../../config/describe.ts';
import { dayOf } from '../../model/problem.ts';
import { stanzasOf } from '../history.ts';
import { logicalFolder, snapshotFolder, toolBackupFolder } from '../layout.ts';
import type { AuditedDatabase, AuditedVersion, AuditFacts } from './facts.ts';
import type { HeldStanza, Tree } from './tree.ts';

export type Orphan = AuditFacts['orphans'][number];

/** A backup that is still being made has no manifest either. */
const SETTLED_MS = 86_400_000;

type Known = Pick<DatabaseView, 'name' | 'stanza' | 'former' | 'retention'>;

/**
 * What belongs to nothing that can be restored. What lies under markers only was removed, and waits for the lifecycle: that
 * is no orphan. Of databases that are not in the configuration everything is named, and nothing else is done.
 */
export function orphansOf(
  tree: Tree,
  known: readonly Known[],
  audited: readonly AuditedDatabase[],
  now: number,
): Orphan[] {
  const nodes = new Map(audited.map(({ name, nodes }) => [name, nodes]));
  const stanzas = new Map(known.flatMap((one) => stanzasOf(one).map((stanza) => [stanza, one] as const)));
  const orphans = [
    ...[...tree.stanzas].flatMap(([stanza, held]): Orphan[] => {
      const owner = stanzas.get(stanza);
      if (owner === undefined) return strangerStanza(stanza, held);
      const left = leftSince(owner, stanza, now);
      if (left !== null) {
        const why = `nothing that is promised of ${owner.name} lies in stanza ${stanza} any more, which it left on ${left}`;
        return [{ versions: currentOf(held), why, database: owner.name }];
      }
      const used = nodes.get(owner.name);
      // One that could not be read leaves nothing that could be told from what it needs.
      if (used === undefined) return [];
      return basesWithout(owner, stanza, { held, tree, used, now });
    }),
    ...strangers(tree, known),
    ...known.flatMap(({ name }) => {
      const used = nodes.get(name);
      if (used === undefined) return [];
      return [...attemptsOf(name, { tree, used, now }), ...shippedOrphans(name, { tree, used, now })];
    }),
    ...[...tree.unknown].map(([folder, versions]) => ({
      ...{ versions, database: null },
      why: `${folder} is nothing of Holdfast's`,
    })),
  ];
  // Listed many at once, in any order: the same repository has the same report.
  return orphans
    .filter(({ versions }) => versions.length > 0)
    .map((orphan) => ({ ...orphan, versions: orphan.versions.toSorted(byKey) }))
    .toSorted((a, b) => (a.why < b.why ? -1 : 1));
}

export const byKey = (a: AuditedVersion, b: AuditedVersion): number =>
  a.key < b.key ? -1 : a.key > b.key ? 1 : b.writtenAt - a.writtenAt;

function strangerStanza(stanza: string, held: HeldStanza): Orphan[] {
  const why = `stanza ${stanza} of pgBackRest is of no database of the configuration`;
  return [{ versions: everythingOf(held), why, database: null }];
}

const everythingOf = ({ archives, bases, files, notes }: HeldStanza): AuditedVersion[] => [
  ...[...archives.values()].flatMap((logs) => logs.map(({ version }) => version)),
  ...[...bases.values(), files, notes].flat(),
];

const currentOf = (held: HeldStanza): AuditedVersion[] =>
  everythingOf(held).filter(({ noncurrentSince }) => noncurrentSince === null);

/** The day on which a database left a stanza, where so long ago that all its promises there have ended: pgBackRest expires nothing there any more. */
function leftSince({ former, retention }: Known, stanza: string, now: number): string | null {
  const until = former.find((place) => place.stanza === stanza)?.until;
  if (until === undefined) return null;
  const longest = Math.max(retention.physicalMs, retention.logMs);
  return Date.parse(until) + longest < now ? dayOf(until) : null;
}

function strangers(tree: Tree, known: readonly Known[]): Orphan[] {
  const names = new Set(known.map(({ name }) => name));
  return [...tree.databases].flatMap(([name, held]): Orphan[] => {
    if (names.has(name)) return [];
    const { logical, snapshot } = held.backups;
    const maps = [logical, snapshot, held.manifests, held.beside, ...held.logs.values()];
    return [
      {
        versions: maps.flatMap((map) => [...map.values()].flat()),
        why: `${name} is no database of the configuration, and its backups are here`,
        database: null,
      },
    ];
  });
}

interface Place {
  tree: Tree;
  used: AuditedDatabase['nodes'];
  now: number;
}

/** Backups of the tool that nothing names: ones that were never completed, and ones of another history. */
function basesWithout(owner: Known, stanza: string, place: Place & { held: HeldStanza }): Orphan[] {
  const { held, used, now, tree } = place;
  const folder = toolBackupFolder(stanza);
  const named = new Set(used.flatMap(({ versions }) => versions.map(({ key }) => key)));
  const published = tree.databases.get(owner.name)?.manifests;
  return [...held.bases].flatMap(([label, versions]): Orphan[] => {
    const isUsed = versions.some(({ key }) => named.has(key));
    if (isUsed || isGone(versions) || !isSettled(versions, now)) return [];
    const isWhole = versions.some(({ key }) => key === `${folder}${label}/backup.manifest`);
    const why = !isWhole
      ? `backup ${label} of ${owner.name} was never completed: it has no backup.manifest`
      : published?.has(label) === true
        ? `backup ${label} of ${owner.name} is out of the catalog, and pgBackRest still has it in stanza ${stanza}`
        : `no manifest names backup ${label} of ${owner.name} in stanza ${stanza}`;
    return [{ versions, why, database: owner.name }];
  });
}

/** What attempts at a backup have left: beside what its manifest names, or with no manifest at all. */
function attemptsOf(name: string, { tree, used, now }: Place): Orphan[] {
  const held = tree.databases.get(name);
  if (held === undefined) return [];
  const named = new Set(used.flatMap(({ versions }) => versions.map(({ key }) => key)));
  return (['logical', 'snapshot'] as const).flatMap((tier) =>
    [...held.backups[tier]].flatMap(([id, versions]): Orphan[] => {
      const isUsed = used.some((node) => node.kind === tier && node.id === id);
      // Out of the catalog: it waits for the lifecycle.
      if (!isUsed && held.manifests.has(id)) return [];
      const left = versions.filter(({ key }) => !named.has(key));
      if (isGone(left) || !isSettled(left, now)) return [];
      const folder = tier === 'logical' ? logicalFolder(name, id) : snapshotFolder(name, id);
      const why = isUsed
        ? `an attempt at ${tier} backup ${id} of ${name} was given up, and its objects are left`
        : `${folder} has no manifest: it is no backup`;
      return [{ versions: left, why, database: name }];
    }),
  );
}

/** Of logs that we ship: what attempts have left that did not come to a record, and servers to whose logs no base leads. */
function shippedOrphans(name: string, { tree, used, now }: Place): Orphan[] {
  const bases = used.flatMap(({ replayFrom }) => replayFrom?.archive ?? []);
  const isLeadTo = (lineage: string) =>
    bases.some((archive) => archive === lineage || archive.startsWith(`${lineage}#`));
  const counting = new Set(used.filter(({ kind }) => kind === 'logs').flatMap(({ versions }) => versions));
  const newest = used.filter(({ kind }) => kind === 'logs').toSorted((a, b) => b.finishedAt - a.finishedAt)[0]
    ?.segments?.archive;
  return [...(tree.databases.get(name)?.logs ?? [])].flatMap(([lineage, folders]): Orphan[] => {
    const all = [...folders.values()].flat();
    const isWritten = newest === lineage || newest?.startsWith(`${lineage}#`) === true;
    if (!isLeadTo(lineage) && !isWritten) {
      const why = `no logical backup of ${name} leads to the logs of ${lineage}`;
      return isGone(all) || !isSettled(all, now) ? [] : [{ versions: all, why, database: name }];
    }
    const left = all.filter(
      (version) =>
        !counting.has(version) && version.noncurrentSince === null && version.writtenAt + SETTLED_MS <= now,
    );
    const why = `an attempt to ship a log of ${name} was given up, and its objects are left`;
    return left.length === 0 ? [] : [{ versions: left, why, database: name }];
  });
}

const isGone = (versions: readonly AuditedVersion[]): boolean =>
  versions.every(({ noncurrentSince }) => noncurrentSince !== null);

const isSettled = (versions: readonly AuditedVersion[], now: number): boolean =>
  versions.every(({ writtenAt }) => writtenAt + SETTLED_MS <= now);
