import type { Config } from '../../config/schema.ts';
import { withTopology } from '../../config/topology.ts';
import { type Topology, topologySchema } from '../../model/topology.ts';
import { TOPOLOGY_FOLDER, topologyKey } from '../layout.ts';
import type { ListedVersion, Repository } from '../repository.ts';
import { type Mend, survey } from './area.ts';

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
 * recovery that is taken back lays one.
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
  const judge = async (key: string, versions: readonly ListedVersion[]) => {
    const good = await newestUnderstood(repository, key, versions, signal);
    if (good === null || !keys.has(key)) return null;
    const marker = versions.find(({ isLatest, isDeleteMarker }) => isLatest && isDeleteMarker);
    if (marker !== undefined) {
      doubts.push({
        key,
        why: `a delete marker of ${marker.lastModified} lies on it: ${good.topology.database} is taken to live where the configuration says`,
        hint: `a disaster recovery that was taken back lays one; if none was (holdfast list), remove that version of the key, ${marker.versionId}`,
      });
      return null;
    }
    found.push(good.topology);
    return {
      version: good.version,
      of: `where ${good.topology.database} lives`,
      lockedUntil: null,
    };
  };
  const { mends } = await survey(repository, { prefix: TOPOLOGY_FOLDER, goodOf: judge }, () => {}, signal);
  return { config: withTopology(config, found), mends, doubts };
}

async function newestUnderstood(
  repository: Repository,
  key: string,
  versions: readonly ListedVersion[],
  signal?: AbortSignal,
): Promise<{ topology: Topology; version: ListedVersion } | null> {
  for (const version of versions) {
    if (version.isDeleteMarker) continue;
    const text = await repository.getText({ key, versionId: version.versionId }, signal);
    const parsed = topologySchema.safeParse(jsonOf(text));
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
