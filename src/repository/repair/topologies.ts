import type { Config } from '../../config/schema.ts';
import { withTopology } from '../../config/topology.ts';
import { type Topology, topologySchema } from '../../model/topology.ts';
import { TOPOLOGY_FOLDER, topologyKey } from '../layout.ts';
import type { ListedVersion, Repository } from '../repository.ts';
import { type Judgement, type Mend, survey } from './area.ts';

/** Something that may be an attack or not. */
export interface Doubt {
  key: string;
  /** what was found */
  why: string;
  /** what to look at, and do */
  hint: string;
}

/**
 * Where databases live now: of each the newest version that can be understood. A marker on it is left alone: a disaster
 * recovery that is taken back lays one. A key without any such version is hidden: whatever reads topologies stops at it.
 */
export async function topologies(
  repository: Repository,
  config: Config,
  databases: readonly string[],
  signal?: AbortSignal,
): Promise<{ config: Config; mends: Mend[]; doubts: Doubt[] }> {
  const keys = new Set(databases.map(topologyKey));
  const doubts: Doubt[] = [];
  const found: Topology[] = [];
  const doubt = (key: string, why: string, hint: string): null => {
    doubts.push({ key, why, hint });
    return null;
  };
  const judge = async (key: string, versions: readonly ListedVersion[]): Promise<Judgement> => {
    const good = await newestUnderstood(repository, key, versions, signal);
    const [top] = versions;
    if (good === 'newer')
      return doubt(key, 'a later version of Holdfast has written it', 'repair with that version');
    if (good === null) return top?.isDeleteMarker === false ? { gone: 'no topology of any database' } : null;
    if (!keys.has(key)) return null;
    const { database } = good.topology;
    const marker = versions.find(({ isLatest, isDeleteMarker }) => isLatest && isDeleteMarker);
    if (marker === undefined) {
      found.push(good.topology);
      return { version: good.version, of: `where ${database} lives`, lockedUntil: null };
    }
    return doubt(
      key,
      `a delete marker of ${marker.lastModified} lies on it: ${database} is taken to live where the configuration says`,
      `a disaster recovery that was taken back lays one; if none was (holdfast list), remove version ${marker.versionId} of the key`,
    );
  };
  const { mends } = await survey(repository, { prefix: TOPOLOGY_FOLDER, goodOf: judge }, () => {}, signal);
  return { config: withTopology(config, found), mends, doubts };
}

async function newestUnderstood(
  repository: Repository,
  key: string,
  versions: readonly ListedVersion[],
  signal?: AbortSignal,
): Promise<{ topology: Topology; version: ListedVersion } | 'newer' | null> {
  for (const version of versions) {
    if (version.isDeleteMarker) continue;
    const text = await repository.getText({ key, versionId: version.versionId }, signal);
    const value = jsonOf(text);
    const parsed = topologySchema.safeParse(value);
    if (Number((value as { formatVersion?: unknown } | null)?.formatVersion) > 1) return 'newer';
    if (parsed.success && topologyKey(parsed.data.database) === key)
      return { topology: parsed.data, version };
  }
  return null;
}

function jsonOf(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}
