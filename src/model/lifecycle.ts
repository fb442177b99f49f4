/** A storage class by S3's name: STANDARD, STANDARD_IA, GLACIER, DEEP_ARCHIVE and others. */
export type StorageClass = string;

/** When a rule acts: so many days after an object was written, or on a date (ISO 8601, midnight UTC). */
export type Due = { days: number } | { date: string };

/** One rule of a bucket's lifecycle, with keys as they are in the bucket. */
export interface LifecycleRule {
  id: string;
  enabled: boolean;
  /** '' is everything */
  prefix: string;
  /** only objects that are larger, or smaller, than this; null: of any size */
  largerThanBytes: number | null;
  smallerThanBytes: number | null;
  /** only objects with all of these tags: Holdfast sets none, other people's rules may */
  tags: Record<string, string>;
  /** current versions: a delete marker is laid on top, without versioning they are removed */
  expire: Due | null;
  transitions: { due: Due; storageClass: StorageClass }[];
  /** versions that are not current any more, by the days since a newer one or a marker was laid on top */
  expireNoncurrent: { days: number; keepNewer: number } | null;
  noncurrentTransitions: { days: number; storageClass: StorageClass }[];
  /** markers with nothing under them */
  removeLoneMarkers: boolean;
  abortUploadsAfterDays: number | null;
}
