import type { Manifest } from '../model/backup.ts';
import type { Bases } from '../model/tier.ts';
import type { FormerPlace } from '../model/topology.ts';
import type { ArchivedLog } from './logs.ts';

/** Where a database lives and has lived, by what the tool calls it there. */
export interface History {
  /** where it archives now */
  stanza: string;
  /** newest first */
  former: readonly Pick<FormerPlace, 'stanza' | 'until'>[];
  /** of which tier its bases are; `logical`: its logs are shipped by us. Absent: physical */
  bases?: Bases;
}

/** The first stanza of all: what was written before any move names none. */
export function firstStanza({ stanza, former }: History): string {
  return former.at(-1)?.stanza ?? stanza;
}

/** Every stanza that the database's history lies in, the one of now first. */
export function stanzasOf({ stanza, former }: History): string[] {
  return [stanza, ...former.map((place) => place.stanza)];
}

/** The last moment of a stanza that belongs to the history, in milliseconds; -Infinity: it never was a part of it. */
function endOf({ stanza: now, former }: History, stanza: string): number {
  if (stanza === now) return Number.POSITIVE_INFINITY;
  const place = former.find((one) => one.stanza === stanza);
  return place === undefined ? Number.NEGATIVE_INFINITY : Date.parse(place.until);
}

/**
 * The backups that belong to the history, each physical one with its stanza. A server that was left may go on, and one
 * that was to take over may have been given up: their backups are of another history.
 */
export function manifestsOf(history: History, manifests: readonly Manifest[]): Manifest[] {
  return manifests.flatMap((manifest) => {
    if (manifest.tier !== 'physical') return [manifest];
    const stanza = manifest.stanza ?? firstStanza(history);
    return Date.parse(manifest.finishedAt) <= endOf(history, stanza) ? [{ ...manifest, stanza }] : [];
  });
}

/** The archived logs that belong to the history. */
export function logsOf(history: History, logs: readonly ArchivedLog[]): ArchivedLog[] {
  return logs.filter(({ stanza, archivedAt }) => Date.parse(archivedAt) <= endOf(history, stanza));
}
