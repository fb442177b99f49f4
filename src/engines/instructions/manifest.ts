import type { RepositoryConfig } from '../../config/schema.ts';
import type { Manifest } from '../../model/backup.ts';

/** What RESTORE.md says of a backup before its commands. */

/** `server`: `PostgreSQL`; `reach`: one more sentence, with a space before it. */
export function heading(
  manifest: Manifest,
  repository: RepositoryConfig,
  server: string,
  reach = '',
): string {
  const { id, database, tier, kind, copyOf, startedAt, finishedAt, serverVersion } = manifest;
  const what =
    copyOf === undefined ? `A ${tier} backup (${kind})` : `A copy of ${copyOf.tier} backup ${copyOf.id}`;
  return `# Restore ${database} from backup ${id}

${what} of ${server} ${serverVersion}, taken from ${startedAt} to ${finishedAt}, in bucket
\`${repository.bucket}\`${repository.endpoint === undefined ? '' : ` at ${repository.endpoint}`}.${reach} These commands need no Holdfast.
`;
}

export function notices(manifest: Manifest): string {
  if (manifest.notices.length === 0) return '';
  return `\nKnow this first:\n${manifest.notices.map((notice) => `- ${notice}`).join('\n')}\n`;
}

export function gigabytes(bytes: number): string {
  const size = bytes / 1e9;
  return size >= 1 ? `${size.toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}
