import type { AuditedVersion } from './facts.ts';
import type { ListedKey } from './listing.ts';
import { placeOf } from './place.ts';

/** An archived log, in the version that was written first: the tool never writes one again. */
export interface HeldLog {
  name: string;
  version: AuditedVersion;
}

/** What lies in the tool's tree of one stanza. */
export interface HeldStanza {
  archives: Map<string, HeldLog[]>;
  /** by label: every version of every file, keys together */
  bases: Map<string, AuditedVersion[]>;
  files: AuditedVersion[];
  notes: AuditedVersion[];
}

/** What lies in our own prefixes of one database. */
export interface HeldDatabase {
  /** by tier and backup: every version */
  backups: Record<'logical' | 'snapshot', Map<string, AuditedVersion[]>>;
  /** by backup: of its manifest, newest first; empty where only markers are left */
  manifests: Map<string, AuditedVersion[]>;
  /** by backup: what lies beside it */
  beside: Map<string, AuditedVersion[]>;
  /** of logs that we ship, by lineage and folder: every version, those of a key together, newest first */
  logs: Map<string, Map<string, AuditedVersion[]>>;
  /** counted only: there are a thousand heartbeats a day */
  records: Counted;
}

export interface Counted {
  versions: number;
  bytes: number;
}

/** The repository by what it holds of whom. */
export interface Tree {
  stanzas: Map<string, HeldStanza>;
  databases: Map<string, HeldDatabase>;
  /** by folder at the top: nothing of Holdfast's */
  unknown: Map<string, AuditedVersion[]>;
  looked: { versions: number; markers: number; bytes: number };
}

export function emptyTree(): Tree {
  return {
    stanzas: new Map(),
    databases: new Map(),
    unknown: new Map(),
    looked: { versions: 0, markers: 0, bytes: 0 },
  };
}

/** Files a key where it belongs. */
export function addTo(tree: Tree, { key, versions, markers }: ListedKey): void {
  const bytes = versions.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  tree.looked.versions += versions.length;
  tree.looked.markers += markers;
  tree.looked.bytes += bytes;
  const place = placeOf(key);
  switch (place.kind) {
    case 'log': {
      const version = firstWritten(versions);
      if (version === undefined) return;
      const { archives } = stanzaIn(tree, place.stanza);
      listIn(archives, place.archive).push({ name: place.name, version });
      return;
    }
    case 'tool-file':
      stanzaIn(tree, place.stanza).files.push(...versions.slice(0, 1));
      return;
    case 'tool-note':
      stanzaIn(tree, place.stanza).notes.push(...versions);
      return;
    case 'base':
      listIn(stanzaIn(tree, place.stanza).bases, place.label).push(...versions);
      return;
    case 'backup':
      listIn(databaseIn(tree, place.database).backups[place.tier], place.id).push(...versions);
      return;
    case 'shipped': {
      const { logs } = databaseIn(tree, place.database);
      const lineage = logs.get(place.lineage) ?? new Map<string, AuditedVersion[]>();
      logs.set(place.lineage, lineage);
      listIn(lineage, place.folder).push(...versions);
      return;
    }
    case 'manifest':
      listIn(databaseIn(tree, place.database).manifests, place.id).push(...versions);
      return;
    case 'beside':
      listIn(databaseIn(tree, place.database).beside, place.id).push(...versions);
      return;
    case 'record': {
      const { records } = databaseIn(tree, place.database);
      records.versions += versions.length;
      records.bytes += bytes;
      return;
    }
    case 'unknown':
      listIn(tree.unknown, place.folder).push(...versions);
  }
}

function stanzaIn({ stanzas }: Tree, name: string): HeldStanza {
  const found = stanzas.get(name) ?? { archives: new Map(), bases: new Map(), files: [], notes: [] };
  stanzas.set(name, found);
  return found;
}

function databaseIn({ databases }: Tree, name: string): HeldDatabase {
  const found = databases.get(name) ?? {
    backups: { logical: new Map(), snapshot: new Map() },
    manifests: new Map(),
    beside: new Map(),
    logs: new Map(),
    records: { versions: 0, bytes: 0 },
  };
  databases.set(name, found);
  return found;
}

function listIn<T>(map: Map<string, T[]>, key: string): T[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}

const ASKED_AGAIN_MS = 3_600_000;

/** The version that counts of what is written once. A write that was asked again leaves the same content twice. */
function firstWritten(versions: readonly AuditedVersion[]): AuditedVersion | undefined {
  const first = versions.at(-1);
  return versions.find(
    ({ sizeBytes, writtenAt }) =>
      first !== undefined && sizeBytes === first.sizeBytes && writtenAt <= first.writtenAt + ASKED_AGAIN_MS,
  );
}
