import { type DatabaseView, describeDatabase } from '../../config/describe.ts';
import type { Config } from '../../config/schema.ts';
import { hasStorageClasses } from '../../config/storage-class.ts';
import type { Refusal } from '../../model/judgement.ts';
import type { LifecycleRule } from '../../model/lifecycle.ts';
import { FOLDERS, TOOL_FOLDER } from '../layout.ts';
import { SMALLEST_MOVED_BYTES } from './charges.ts';
import { backupKept, logKept, physicalDays, recordDays, trailDays } from './days.ts';
import { formerStanzas } from './former.ts';
import { beyondLimits } from './limits.ts';
import { describeLifecycle } from './lines.ts';

export interface Lifecycle {
  /** keys as they are in the bucket */
  rules: LifecycleRule[];
  /** the arithmetic and the minimum charges, for people */
  lines: string[];
  /** what S3 does not take */
  refusals: Refusal[];
}

/** Physical backups go to GLACIER after this, at the earliest. */
const ARCHIVE_AFTER_DAYS = 30;
/**
 * How long what was deleted or overwritten can be brought back where no lock keeps it: time to notice. Our own backups
 * are locked to their very end where the configuration has locks.
 */
export const NONCURRENT_DAYS = { locked: 1, data: 7, records: 30 } as const;

const NOTHING: Omit<LifecycleRule, 'id' | 'prefix'> = {
  enabled: true,
  largerThanBytes: null,
  smallerThanBytes: null,
  tags: {},
  expire: null,
  transitions: [],
  expireNoncurrent: null,
  noncurrentTransitions: [],
  removeLoneMarkers: false,
  abortUploadsAfterDays: null,
};

/** How many days each database needs what lies in folders of ours; null: it has none of it. */
const TIERS: Record<'log' | 'logical' | 'snapshot', (database: DatabaseView) => number | null> = {
  log: (database) => logKept(database)?.days ?? null,
  logical: ({ retention }) => backupKept(retention.logicalMs).days,
  snapshot: ({ retention }) => backupKept(retention.snapshotMs).days,
};

/** The lifecycle rules that a configuration asks for. In the tool's tree its own expiry acts first: none ends there. */
export function lifecycleOf(config: Config): Lifecycle {
  const databases = Object.keys(config.databases).map((name) => describeDatabase(config, name));
  const { prefix, lock } = config.repository;
  const ended = lock === undefined ? NONCURRENT_DAYS.data : NONCURRENT_DAYS.locked;
  const rule = (what: string, folder: string, actions: Partial<LifecycleRule>): LifecycleRule => ({
    id: `holdfast-${what}`,
    prefix: `${prefix}${folder}`,
    ...NOTHING,
    ...actions,
  });
  const expiring = (what: string, folder: string, days: number, noncurrent: number) =>
    rule(what, folder, { expire: { days }, expireNoncurrent: { days: noncurrent, keepNewer: 0 } });

  const tiers = (['log', 'logical', 'snapshot'] as const).flatMap((tier) => {
    const kept = databases.flatMap((database) => {
      const days = TIERS[tier](database);
      return days === null ? [] : [{ name: database.name, days }];
    });
    if (kept.length === 0) return [];
    // The longest is the fleet's, and serves databases that left it; of several rules the earliest counts.
    const longest = Math.max(...kept.map(({ days }) => days));
    return [
      expiring(tier, FOLDERS[tier], longest, ended),
      ...kept
        .filter(({ days }) => days < longest)
        .map(({ name, days }) => expiring(`${tier}-${name}`, `${FOLDERS[tier]}${name}/`, days, ended)),
    ];
  });
  const archiveAfter = archiveAfterDays(config, databases);
  const rules = [
    ...tiers,
    ...(['manifest', 'verification'] as const).map((what) =>
      expiring(what, FOLDERS[what], recordDays(databases), NONCURRENT_DAYS.records),
    ),
    ...(['evidence', 'drill', 'acknowledgement', 'repair'] as const).map((what) =>
      expiring(what, FOLDERS[what], trailDays(databases), NONCURRENT_DAYS.records),
    ),
    // What is removed here at its own time has to be gone then: it is production's rows.
    ...(['undo', 'export'] as const).map((what) =>
      expiring(what, FOLDERS[what], trailDays(databases), NONCURRENT_DAYS.locked),
    ),
    expiring('doctor', FOLDERS.doctor, 1, 1),
    rule('pgbackrest', `${TOOL_FOLDER}/`, {
      expireNoncurrent: { days: NONCURRENT_DAYS.data, keepNewer: 0 },
    }),
    ...(archiveAfter === null
      ? []
      : [
          rule('physical', `${TOOL_FOLDER}/backup/`, {
            // The tool's small files stay, and so does what would cost more there.
            largerThanBytes: SMALLEST_MOVED_BYTES,
            transitions: [{ due: { days: archiveAfter }, storageClass: 'GLACIER' }],
          }),
        ]),
    ...formerStanzas(databases).flatMap(({ stanza, folders, over }) =>
      (['archive', 'backup'] as const).map((tree) =>
        rule(`former-${tree}-${stanza}`, folders[tree], { expire: { date: over } }),
      ),
    ),
    rule('everything', '', {
      expireNoncurrent: { days: NONCURRENT_DAYS.records, keepNewer: 0 },
      removeLoneMarkers: true,
      abortUploadsAfterDays: 1,
    }),
  ];
  return {
    rules,
    lines: describeLifecycle(config, databases, { archiveAfter, ended }),
    refusals: beyondLimits(rules),
  };
}

/**
 * When physical backups go to GLACIER: not before the window can do without them, so that no recovery within it waits
 * for a thaw. Null where nothing gets as old, or the store has no classes.
 */
function archiveAfterDays(config: Config, databases: readonly DatabaseView[]): number | null {
  const made = databases.filter(({ tiers }) => tiers.physical !== null);
  if (!hasStorageClasses(config.repository)) return null;
  const after = Math.max(ARCHIVE_AFTER_DAYS, ...made.map((database) => logKept(database)?.days ?? 0));
  return made.some((database) => (physicalDays(database) ?? 0) > after) ? after : null;
}
