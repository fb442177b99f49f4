import type { DatabaseView } from '../config/describe.ts';
import type { BackupTier, Manifest } from '../model/backup.ts';
import { largestGapMs } from '../model/cron.ts';
import { formatDuration } from '../model/duration.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import { overdueAfterMs } from '../model/overdue.ts';
import type { Manifests } from '../repository/manifests.ts';

export type VerifiedTier = Extract<BackupTier, 'logical' | 'physical'>;

/** A backup to restore, and what is known of it before. */
export interface Candidate {
  tier: BackupTier;
  /** of a snapshot: how what it is a copy of is restored */
  copyOf?: VerifiedTier;
  backup: string;
  /** ISO 8601: as of when its rows are */
  startedAt: string;
  /** the newest of its tier, to be replayed to the end of the logs where it has logs */
  newest: boolean;
  /** it is a dump that logs are replayed from, too */
  leadsOn?: true;
}

export interface VerificationChoice {
  candidates: Candidate[];
  /** tiers without any backup */
  missing: VerifiedTier[];
  /** of what is missing, unreadable or too old */
  checks: Check[];
}

const TIERS: readonly VerifiedTier[] = ['logical', 'physical'];

/**
 * What a verification restores: the newest backup of each tier that the configuration asks for, which has to be there
 * and no older than its schedule allows; or the one that is named. Throws UnknownBackup.
 */
export function chooseForVerification(
  database: Pick<DatabaseView, 'name' | 'tiers' | 'bases'>,
  { manifests, unreadable }: Manifests,
  { backup, now }: { backup: string | null; now: Date },
): VerificationChoice {
  if (backup !== null) {
    return { candidates: [named(database.name, manifests, backup)], missing: [], checks: [] };
  }
  const candidates: Candidate[] = [];
  const missing: VerifiedTier[] = [];
  const checks: Check[] = [];
  for (const tier of TIERS) {
    const gapMs = gapOf(database, tier);
    if (gapMs === null) continue;
    const newest = manifests
      .filter((manifest) => manifest.tier === tier)
      .toSorted((a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt))[0];
    checks.push(ageCheck(tier, newest, { gapMs, now }));
    checks.push(...unreadableChecks(tier, newest, unreadable));
    if (newest === undefined) missing.push(tier);
    else {
      const leadsOn = tier === 'logical' && database.bases === 'logical' && database.tiers.log !== null;
      candidates.push({
        ...{ tier, backup: newest.id, startedAt: newest.startedAt, newest: true },
        ...(leadsOn ? { leadsOn } : {}),
      });
    }
  }
  return { candidates, missing, checks };
}

/** A manifest that nobody can read may be of any tier: the newest backup of each may be another than is taken for it. */
function unreadableChecks(
  tier: VerifiedTier,
  newest: Manifest | undefined,
  unreadable: Manifests['unreadable'],
): Check[] {
  const since = newest === undefined ? 0 : Date.parse(newest.finishedAt);
  const later = unreadable.filter(({ writtenAt }) => Date.parse(writtenAt) > since);
  if (later.length === 0) return [];
  const which = later.map(({ backup }) => backup).join(', ');
  return [{ name: `${tier}: manifest`, verdict: 'fail', detail: `the manifest of ${which} cannot be read` }];
}

function named(database: string, manifests: readonly Manifest[], backup: string): Candidate {
  const manifest = manifests.find(({ id }) => id === backup);
  if (manifest !== undefined) {
    const { tier, startedAt, copyOf } = manifest;
    return {
      tier,
      backup,
      startedAt,
      newest: false,
      ...(copyOf === undefined ? {} : { copyOf: copyOf.tier }),
    };
  }
  throw new HoldfastError('UnknownBackup', `there is no backup ${backup} of ${database} to verify`, {
    hint: `see holdfast catalog ${database}`,
  });
}

/** The longest time between two backups of a tier; null: switched off. */
function gapOf({ tiers }: Pick<DatabaseView, 'tiers'>, tier: VerifiedTier): number | null {
  if (tier === 'physical') return tiers.physical?.baseGapMs ?? null;
  return tiers.logical === null ? null : (largestGapMs(tiers.logical.schedule) ?? Number.POSITIVE_INFINITY);
}

function ageCheck(
  tier: VerifiedTier,
  newest: Manifest | undefined,
  { gapMs, now }: { gapMs: number; now: Date },
): Check {
  const name = `${tier}: age`;
  if (newest === undefined) return { name, verdict: 'fail', detail: `there is no ${tier} backup` };
  const ageMs = now.getTime() - Date.parse(newest.finishedAt);
  const limitMs = overdueAfterMs(gapMs);
  const age = `the newest, ${newest.id}, is ${formatDuration(Math.max(0, Math.trunc(ageMs / 1_000) * 1_000))} old`;
  return ageMs <= limitMs
    ? { name, verdict: 'pass', detail: age }
    : { name, verdict: 'fail', detail: `stale: ${age}, and one is due every ${formatDuration(gapMs)}` };
}
