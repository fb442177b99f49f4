import type { StorageClass } from '../../model/lifecycle.ts';

/** What S3 charges at least for an object in a class: https://aws.amazon.com/s3/storage-classes/ and /s3/pricing/. */
interface Minimum {
  /** days, even where it is removed earlier */
  days: number;
  /** a smaller object is charged as one of this size */
  bytes: number;
  /** bytes that each object takes beside its own */
  overheadBytes: number;
  /** it has to be thawed before it can be read */
  archive: boolean;
}

const KIB = 1024;
/** Below this size STANDARD is cheaper, and S3's own rules leave objects where they are. */
export const SMALLEST_MOVED_BYTES = 128 * KIB;

const MINIMA: Record<string, Minimum> = {
  STANDARD_IA: { days: 30, bytes: SMALLEST_MOVED_BYTES, overheadBytes: 0, archive: false },
  ONEZONE_IA: { days: 30, bytes: SMALLEST_MOVED_BYTES, overheadBytes: 0, archive: false },
  GLACIER_IR: { days: 90, bytes: SMALLEST_MOVED_BYTES, overheadBytes: 0, archive: false },
  GLACIER: { days: 90, bytes: 0, overheadBytes: 40 * KIB, archive: true },
  DEEP_ARCHIVE: { days: 180, bytes: 0, overheadBytes: 40 * KIB, archive: true },
};

/** For how many days something is charged that lies in a class from `afterDays` on, and is gone after `keptDays`. */
export function chargedDays(storageClass: StorageClass, afterDays: number, keptDays: number): number {
  const there = keptDays - afterDays;
  return there <= 0 ? keptDays : afterDays + Math.max(there, MINIMA[storageClass]?.days ?? 0);
}

/** The same for people; null where the class charges nothing beyond what is kept, and nothing extra. */
export function describeCharge(
  storageClass: StorageClass,
  afterDays: number,
  keptDays: number,
): string | null {
  const minimum = MINIMA[storageClass];
  if (minimum === undefined) return null;
  const charged = chargedDays(storageClass, afterDays, keptDays);
  const since = afterDays === 0 ? 'from the beginning' : `after ${afterDays}d`;
  const more = charged > keptDays ? `: ${charged} days of charge for ${keptDays} days kept` : '';
  return [
    `${storageClass} ${since}, charged for ${minimum.days} days there at least${more}`,
    ...(minimum.bytes === 0 ? [] : [`an object is charged as ${minimum.bytes / KIB} KiB at least`]),
    ...(minimum.overheadBytes === 0
      ? []
      : [`each object takes ${minimum.overheadBytes / KIB} KiB beside it`]),
    ...(afterDays === 0 ? [] : ['each object that is moved costs a request']),
    ...(minimum.archive ? ['a restore has to thaw it'] : ['reading it is charged by the byte']),
  ].join(', ');
}
