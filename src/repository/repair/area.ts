import { mapBounded } from '../bounded.ts';
import type { ListedVersion, Repository } from '../repository.ts';
import { byKey } from '../stacks.ts';
import { coveringOf } from './key.ts';
import { isSameContent } from './same.ts';

/** The version of a key that is to be read, and whose it is. */
export interface Good {
  version: ListedVersion;
  /** for people: `full 20260131-140500F of shop` */
  of: string;
  /** until when its copy is locked; null: as the bucket does by default */
  lockedUntil: string | null;
}

/** `lost`: needed, and not there any more. `gone`: it had been removed, and was written anew. */
export type Judgement = Good | { lost: string } | { gone: string } | null;

/** Keys below a prefix, and which of their versions is to be read. */
export interface Area {
  prefix: string;
  /** keys that have to be there, and whose they are */
  expected?: ReadonlyMap<string, string>;
  /** Null: nobody needs it, or what lies on top of it lies there rightly. `versions` are newest first. */
  goodOf(key: string, versions: readonly ListedVersion[]): Judgement | Promise<Judgement>;
}

/** What has to be done so that the good version of a key is read again. */
export interface Mend {
  key: string;
  of: string;
  /** null: it had been removed for good reason, and is again */
  good: {
    versionId: string | null;
    sizeBytes: number;
    writtenAt: string;
    storageClass: string | null;
  } | null;
  /** of the copy; null: as the bucket does by default */
  lockedUntil: string | null;
  /** version ids of the delete markers on top of it */
  markers: string[];
  /** something else was written over it: a copy of the good version goes on top */
  copy: boolean;
}

export interface Survey {
  mends: Mend[];
  /** needed, and not there in any version */
  lost: { key: string; of: string }[];
}

const KEYS_AT_ONCE = 16;
const PORTION = 1_000;

/** Looks at every key of an area. */
export async function survey(
  repository: Repository,
  area: Area,
  onKeys: (count: number) => void,
  signal?: AbortSignal,
): Promise<Survey> {
  const found: Survey = { mends: [], lost: [] };
  const missing = new Map(area.expected);
  for await (const keys of portions(byKey(repository.versions(area.prefix, signal)))) {
    for (const { key } of keys) missing.delete(key);
    const judged = await mapBounded(keys, KEYS_AT_ONCE, async ({ key, versions }) => {
      const good = await area.goodOf(key, versions);
      if (good === null) return null;
      if ('version' in good) return mendOf(repository, good, versions, signal);
      if ('gone' in good)
        return { key, of: good.gone, good: null, lockedUntil: null, markers: [], copy: false };
      found.lost.push({ key, of: good.lost });
      return null;
    });
    found.mends.push(...judged.filter((mend) => mend !== null));
    onKeys(keys.length);
  }
  found.lost.push(...[...missing].map(([key, of]) => ({ key, of })));
  return found;
}

async function mendOf(
  repository: Repository,
  { version, of, lockedUntil }: Good,
  versions: readonly ListedVersion[],
  signal?: AbortSignal,
): Promise<Mend | null> {
  const covering = coveringOf(versions, version);
  if (covering === null) return null;
  const markers = covering.markers.flatMap(({ versionId }) => versionId ?? []);
  const copy = covering.newer !== null && !(await isSameContent(repository, covering.newer, version, signal));
  if (!copy && markers.length === 0) return null;
  const { key, versionId, sizeBytes, lastModified, storageClass } = version;
  return {
    ...{ key, of, lockedUntil, markers, copy },
    good: { versionId, sizeBytes, writtenAt: lastModified, storageClass },
  };
}

async function* portions<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let portion: T[] = [];
  for await (const item of items) {
    portion.push(item);
    if (portion.length < PORTION) continue;
    yield portion;
    portion = [];
  }
  if (portion.length > 0) yield portion;
}
