import { formatDuration } from './duration.ts';
import { countOf } from './plan.ts';

/** How fast, and how dear, S3 brings archived objects back. */
export const THAW_TIERS = ['Expedited', 'Standard', 'Bulk'] as const;
export type ThawTier = (typeof THAW_TIERS)[number];

/** Where an object lies that nobody can read. The last two are tiers within INTELLIGENT_TIERING. */
export type ArchiveClass = 'GLACIER' | 'DEEP_ARCHIVE' | 'ARCHIVE_ACCESS' | 'DEEP_ARCHIVE_ACCESS';

/** What a recovery needs and cannot read until it is thawed. */
export interface Archived {
  /** the classes found, for people */
  storageClass: string;
  objects: number;
  bytes: number;
  /** until all of them can be read, at most as a rule */
  hours: number;
}

/**
 * Hours until an object can be read, the longest that AWS calls typical: "Understanding archive retrieval options",
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
 */
const FLEXIBLE: Record<ThawTier, number> = { Expedited: 1 / 12, Standard: 5, Bulk: 12 };
const DEEP: Record<Exclude<ThawTier, 'Expedited'>, number> = { Standard: 12, Bulk: 48 };

/** The tier that a class has: nothing comes back expedited from the deep archives. */
export function tierFor(archive: ArchiveClass, tier: ThawTier): ThawTier {
  return isDeep(archive) && tier === 'Expedited' ? 'Standard' : tier;
}

export function thawHours(archive: ArchiveClass, tier: ThawTier): number {
  return isDeep(archive) ? DEEP[tier === 'Expedited' ? 'Standard' : tier] : FLEXIBLE[tier];
}

const isDeep = (archive: ArchiveClass): boolean => archive.startsWith('DEEP_');

/** What a plan says of it before anything is asked for. */
export function archivedNotice(archived: Archived, tier: ThawTier): string {
  const { storageClass, objects, bytes, hours } = archived;
  const [is, has] = objects === 1 ? ['is', 'has'] : ['are', 'have'];
  return [
    `of the base and its logs ${countOf(objects, 'object')} (${gigabytes(bytes)}) ${is} in ${storageClass}`,
    `and ${has} to be thawed first, about ${thawTime(hours)} with tier ${tier};`,
    'AWS charges retrieval per GB and request',
  ].join(' ');
}

/** How far a thaw is, as the step says it: how many objects can be read, and how long the rest takes as a rule. */
export function thawDetail(
  archived: Archived,
  { left, elapsedMs }: { left: number; elapsedMs: number },
): string {
  const objects = Math.max(archived.objects, left);
  const back = `${(objects - left).toLocaleString('en-US')} of ${countOf(objects, 'object')} are back`;
  if (left === 0) return back;
  const hours = archived.hours - elapsedMs / 3_600_000;
  return `${back}; ${hours > 0 ? `about ${thawTime(hours)}` : 'it takes longer than usual'}`;
}

/** Whole hours, and minutes where it is none. */
function thawTime(hours: number): string {
  return hours >= 1 ? `${Math.ceil(hours)} h` : formatDuration(Math.ceil(hours * 60) * 60_000);
}

function gigabytes(bytes: number): string {
  return bytes >= 1e8 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}
