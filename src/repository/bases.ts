import type { Manifest } from '../model/backup.ts';
import { basesOf } from '../model/tier.ts';

/** A backup as far as a base of logs counts. */
export type LogBase = Pick<Manifest, 'id' | 'systemIdentifier' | 'finishedAt'> & {
  positions: Pick<Manifest['positions'], 'startLog' | 'at'>;
};

/**
 * Backups that logs are replayed from, as far as the catalog tells: everything that they depend on is there. Of
 * PostgreSQL these are physical ones, of MySQL and MariaDB logical ones that know where they stand in the logs.
 */
export function usableBases(manifests: readonly Manifest[]): Manifest[] {
  const ids = new Set(manifests.map(({ id }) => id));
  return manifests.filter((manifest) => isBase(manifest) && manifest.dependsOn.every((id) => ids.has(id)));
}

const isBase = ({ engine, tier, positions }: Manifest): boolean =>
  tier === basesOf(engine) && (tier === 'physical' || positions.start !== null);

/**
 * From when on a base serves, in milliseconds. A dump is of the moment of its snapshot; pgBackRest tells its stop in
 * whole seconds, cut off.
 */
export function consistentAt({ finishedAt, positions }: LogBase): number {
  return positions.at === undefined ? Date.parse(finishedAt) + 1_000 : Date.parse(positions.at);
}
