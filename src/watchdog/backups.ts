import type { DatabaseView } from '../config/describe.ts';
import type { BackupTier, Catalog, CatalogBackup } from '../model/backup.ts';
import { largestGapMs } from '../model/cron.ts';
import { formatDuration } from '../model/duration.ts';
import { overdueAfterMs } from '../model/overdue.ts';
import type { Problem } from '../model/problem.ts';
import { describeGap } from '../model/tier.ts';
import { snapshotProblems } from './snapshots.ts';

/** Since when the schedule of a tier of this database exists, in milliseconds; null: there is none. */
export type Since = (schedule: 'logical' | 'physical-full' | 'snapshot' | 'verify') => number | null;

/**
 * What of a database's backups should be there and is not. What was never made is due from when its schedule was made;
 * where there is no schedule, that is the problem.
 */
export function backupProblems(
  database: Pick<DatabaseView, 'name' | 'tiers' | 'verify' | 'objectives' | 'bases'>,
  catalog: Catalog,
  { since, now }: { since: Since; now: Date },
): Problem[] {
  const { name, tiers, verify } = database;
  const { logical, physical } = tiers;
  const ended = (backups: readonly CatalogBackup[]) => newestOf(backups.map(({ finishedAt }) => finishedAt));
  const of = (tier: BackupTier) => catalog.backups.filter((backup) => backup.tier === tier);
  const overdue: Dated[] = [];
  if (logical !== null) {
    const gapMs = largestGapMs(logical.schedule);
    overdue.push({ what: 'logical backup', newest: ended(of('logical')), gapMs, since: since('logical') });
  }
  if (physical !== null) {
    const { fullGapMs, baseGapMs, diff } = physical;
    const made = since('physical-full');
    const all = of('physical');
    overdue.push({ what: 'physical backup', newest: ended(all), gapMs: baseGapMs, since: made });
    const fulls = ended(all.filter(({ kind }) => kind === 'full'));
    if (diff.length > 0) overdue.push({ what: 'full backup', newest: fulls, gapMs: fullGapMs, since: made });
  }
  for (const tier of ['logical', 'physical'] as const) {
    if (verify === null || tiers[tier] === null) continue;
    const at = newestOf(of(tier).flatMap(({ verified }) => verified?.at ?? []));
    const gapMs = largestGapMs([verify.schedule]);
    overdue.push({ what: `verification of a ${tier} backup`, newest: at, gapMs, since: since('verify') });
  }
  return [
    ...overdue.flatMap((one) => overdueProblem(name, one, now)),
    ...snapshotProblems(database, catalog, { since: since('snapshot'), now }),
    ...verdictProblems(name, catalog),
    ...recoveryProblem(database, catalog, now),
  ];
}

interface Dated {
  what: string;
  /** of its end, in milliseconds; null: there is none */
  newest: number | null;
  /** the longest time between two; null: more than a year */
  gapMs: number | null;
  since: number | null;
}

function overdueProblem(database: string, { what, newest, gapMs, since }: Dated, now: Date): Problem[] {
  const from = newest ?? since;
  if (from === null || gapMs === null) return [];
  const due = from + overdueAfterMs(gapMs);
  if (due >= now.getTime()) return [];
  const age = newest === null ? 'there is none' : `the newest is ${ageOf(newest, now)} old`;
  return [
    {
      key: `overdue/${database}/${what.replaceAll(' ', '-')}`,
      database,
      severity: 'critical',
      what: `the ${what} of ${database} is overdue: ${age}, and one is due every ${describeGap(gapMs)}`,
      since: new Date(due).toISOString(),
      hint: 'see the last runs: holdfast schedules list',
      told: 'nothing',
    },
  ];
}

/**
 * What the newest verification of each tier said. Snapshots stand each for itself, and of them only what failed is
 * told: nothing looks at them again by itself.
 */
function verdictProblems(database: string, { backups }: Catalog): Problem[] {
  const verified = (wanted: BackupTier) =>
    backups
      .flatMap(({ id, tier, verified: found }) =>
        tier === wanted && found !== null ? [{ id, tier, ...found }] : [],
      )
      .toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at));
  const newest = [...verified('logical').slice(0, 1), ...verified('physical').slice(0, 1)];
  const bad = [
    ...newest.filter(({ verdict }) => verdict !== 'pass'),
    ...verified('snapshot').filter(({ verdict }) => verdict === 'fail'),
  ];
  return bad.map(({ id, tier, verdict, at }) => {
    const [which, named] = tier === 'snapshot' ? [id, ` --backup ${id}`] : [tier, ''];
    return {
      ...{ key: `verification/${database}/${which}/${verdict}`, database, since: at, told: 'all' },
      severity: verdict === 'fail' ? 'critical' : 'warning',
      what: `the verification of ${tier} backup ${id} of ${database} says ${verdict}`,
      hint: `holdfast verify ${database}${named} --wait tells why, and whether it still is so`,
    };
  });
}

/** More would be lost now than the objective allows. */
function recoveryProblem(
  { name, tiers, objectives, bases }: Pick<DatabaseView, 'name' | 'tiers' | 'objectives' | 'bases'>,
  { backups, lastRecoverableAt }: Catalog,
  now: Date,
): Problem[] {
  // Without logs the age of the backups is all there is to say, and so it is before the first base.
  if (tiers.log === null || !backups.some(({ tier }) => tier === bases)) return [];
  const last = lastRecoverableAt === null ? null : Date.parse(lastRecoverableAt);
  const broken = last === null ? null : last + objectives.rpoMs;
  if (broken !== null && broken >= now.getTime()) return [];
  const lost = last === null ? 'all of it' : `the last ${ageOf(last, now)}`;
  return [
    {
      key: `rpo/${name}`,
      database: name,
      severity: 'critical',
      what: `if ${name} were lost now, ${lost} would be gone, and its RPO is ${formatDuration(objectives.rpoMs)}`,
      since: broken === null ? null : new Date(broken).toISOString(),
      hint: `holdfast catalog ${name} shows what is recoverable`,
      told: 'nothing',
    },
  ];
}

const newestOf = (times: readonly string[]): number | null =>
  times.length === 0 ? null : Math.max(...times.map((time) => Date.parse(time)));

/** In whole minutes: a second is no news. */
function ageOf(from: number, now: Date): string {
  return formatDuration(Math.max(60_000, Math.trunc((now.getTime() - from) / 60_000) * 60_000));
}
