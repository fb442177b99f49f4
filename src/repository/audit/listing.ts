import { ListObjectVersionsCommand, type ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3';
import { HoldfastError } from '../../model/failure.ts';
import { mapBounded } from '../bounded.ts';
import { type ListedVersion, type Repository, versionsOf } from '../repository.ts';
import type { AuditedVersion } from './facts.ts';

/** Everything of one key, newest first. */
export interface ListedKey {
  key: string;
  versions: AuditedVersion[];
  markers: number;
}

/** A part of the repository that may not be listed, and why. */
export interface Refused {
  prefix: string;
  why: string;
}

const LISTS_AT_ONCE = 16;
/** How many folders deep each tree is listed folder by folder, many at once; deeper down it is listed as it comes. */
const DEPTHS: Record<string, number> = {
  log: 2,
  'pgbackrest/archive': 4,
  'pgbackrest/backup': 3,
  snapshot: 2,
};
const DEPTH = 1;

/**
 * Every version and marker under the prefix, once: by folders that lie side by side, so that tens of thousands of keys take
 * seconds. Folders are looked for among the versions too: what lies under markers only is there all the same.
 */
export async function listEverything(
  repository: Repository,
  visit: (found: ListedKey) => void,
  options: { signal: AbortSignal; progress: (keys: number) => void },
): Promise<Refused[]> {
  const refused: Refused[] = [];
  let keys = 0;
  const one = async (prefix: string): Promise<string[]> => {
    const folders: string[] = [];
    const group = grouped((found) => {
      keys += 1;
      visit(found);
    });
    try {
      for await (const page of pages(repository, prefix, options.signal)) {
        for (const entry of page.entries) group.add(entry);
        folders.push(...page.folders);
        options.progress(keys);
      }
    } catch (error) {
      // The others can be looked at all the same; a repository that is away is away for all of them.
      if (!(error instanceof HoldfastError && error.type === 'RepositoryRefused')) throw error;
      refused.push({ prefix, why: error.message });
    }
    group.end();
    return folders;
  };
  let level = [''];
  while (level.length > 0) level = (await mapBounded(level, LISTS_AT_ONCE, one)).flat();
  return refused;
}

function isSplit(prefix: string): boolean {
  const depth = prefix.split('/').length - 1;
  const tree = Object.keys(DEPTHS).find(
    (folder) => prefix.startsWith(`${folder}/`) || `${folder}/`.startsWith(prefix),
  );
  return depth <= (tree === undefined ? DEPTH : (DEPTHS[tree] as number));
}

async function* pages(
  repository: Repository,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<{ entries: ListedVersion[]; folders: string[] }> {
  const { connection, fullKey } = repository;
  const ownKey = (key: string) => key.slice(fullKey('').length);
  let next: Pick<ListObjectVersionsCommandOutput, 'NextKeyMarker' | 'NextVersionIdMarker'> = {};
  do {
    const command = () =>
      new ListObjectVersionsCommand({
        Bucket: connection.bucket,
        Prefix: fullKey(prefix),
        ...(isSplit(prefix) ? { Delimiter: '/' } : {}),
        ...(next.NextKeyMarker === undefined ? {} : { KeyMarker: next.NextKeyMarker }),
        ...(next.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: next.NextVersionIdMarker }),
      });
    const page = await connection.request((s3, abort) => s3.send(command(), abort), signal);
    yield {
      entries: versionsOf(page, ownKey),
      folders: (page.CommonPrefixes ?? []).flatMap(({ Prefix }) =>
        Prefix === undefined ? [] : [ownKey(Prefix)],
      ),
    };
    next = page.IsTruncated === true ? page : {};
  } while (next.NextKeyMarker !== undefined);
}

/** Brings the versions of a key together, which a listing gives one after the other, also over two pages. */
function grouped(visit: (found: ListedKey) => void) {
  let entries: ListedVersion[] = [];
  const end = () => {
    const [first] = entries;
    if (first !== undefined) visit({ key: first.key, ...stackOf(entries) });
    entries = [];
  };
  return {
    add(entry: ListedVersion) {
      if (entries[0] !== undefined && entries[0].key !== entry.key) end();
      entries.push(entry);
    },
    end,
  };
}

/** Each version with what lies right on top of it. */
function stackOf(entries: ListedVersion[]): Omit<ListedKey, 'key'> {
  // Of two of the same second only the newest is sure.
  const newestFirst = entries.toSorted((a, b) => Number(b.isLatest) - Number(a.isLatest));
  const versions = newestFirst.flatMap((entry, at): AuditedVersion[] => {
    if (entry.isDeleteMarker) return [];
    const above = newestFirst[at - 1];
    return [
      {
        key: entry.key,
        versionId: entry.versionId === 'null' ? null : entry.versionId,
        writtenAt: Date.parse(entry.lastModified),
        sizeBytes: entry.sizeBytes,
        storageClass: entry.storageClass ?? 'STANDARD',
        noncurrentSince: above === undefined ? null : Date.parse(above.lastModified),
        under: above === undefined ? null : above.isDeleteMarker ? 'marker' : 'version',
      },
    ];
  });
  return { versions, markers: newestFirst.length - versions.length };
}
