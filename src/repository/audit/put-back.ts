import { TOOL_FOLDER } from '../layout.ts';
import type { AuditedVersion } from './facts.ts';
import type { ListedKey } from './listing.ts';

/**
 * A key whose good version a repair has put back on top. A tool reads the copy: it stands for the version that it is of.
 * Of ours the good version is read, and what was written over it is nothing any more.
 */
export function withRepairs(found: ListedKey, copies: ReadonlyMap<string, string>): ListedKey {
  const [current] = found.versions;
  const origin = copies.get(current?.versionId ?? '');
  if (current === undefined || origin === undefined || current.noncurrentSince !== null) return found;
  const good = found.versions.find(({ versionId }) => versionId === origin);
  if (good === undefined) return found;
  // When it was written is when the tool wrote it: that tells a backup's files from what came later.
  if (isReadByTool(found.key)) return { ...found, versions: [{ ...current, writtenAt: good.writtenAt }] };
  const mended = (version: AuditedVersion) => (version === good ? { ...good, repaired: true } : version);
  return { ...found, versions: found.versions.map(mended) };
}

/** Also in the tool's tree that a snapshot holds. */
export const isReadByTool = (key: string): boolean => key.split('/').includes(TOOL_FOLDER);
