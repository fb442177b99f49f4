import type { DatabaseView } from '../../config/describe.ts';
import type { LogGap } from '../../model/backup.ts';
import { largestGapMs } from '../../model/cron.ts';
import type { DrillRecord } from '../../model/drill.ts';
import { describeLost, gapName, isOpenGap } from '../../model/gap.ts';
import { overdueAfterMs } from '../../model/overdue.ts';
import { backupProblems } from '../../watchdog/backups.ts';
import { formatSpan } from '../view/duration.ts';
import { readinessOf } from './disaster.ts';
import type { Held } from './facts.ts';

/** Something that is open: wrong, late, or not proved. */
export interface Finding {
  severity: 'critical' | 'warning';
  what: string;
  hint: string | null;
}

/** What is open of a database, the worst first. `held` is a text where the repository could not be read. */
export function findingsOf(database: DatabaseView, held: Held | string, now: Date): Finding[] {
  const { name } = database;
  if (typeof held === 'string') {
    return [
      critical(
        `what the repository holds of ${name} cannot be read: ${held}`,
        'see repository in the configuration',
      ),
    ];
  }
  const { catalog, drills } = held;
  const late = backupProblems(database, catalog, { since: () => null, now }).map(
    ({ severity, what, hint }): Finding => ({ severity, what, hint }),
  );
  return [
    ...late,
    ...neverMade(database, held),
    ...catalog.gaps
      .filter(({ acknowledged }) => acknowledged === undefined)
      .map((gap) => gapFinding(database, gap)),
    ...drillFindings(database, drills, now),
    ...neverTakenOver(database, held),
  ].toSorted((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
}

const critical = (what: string, hint: string): Finding => ({ severity: 'critical', what, hint });
const warning = (what: string, hint: string): Finding => ({ severity: 'warning', what, hint });

/** It is serious while nothing behind it can be recovered; after that it is a hole in the past. */
function gapFinding({ name, bases }: DatabaseView, gap: LogGap): Finding {
  const what = `${describeLost(gap, name)}: no moment in between can be recovered`;
  return isOpenGap(gap)
    ? critical(
        what,
        `holdfast catalog ${name} shows the times; holdfast backup ${name} --tier ${bases} begins anew`,
      )
    : warning(what, `holdfast gap acknowledge ${name} --gap ${gapName(gap)} --reason …`);
}

/** What is there not once: without a schedule's age nobody can say that it is late. */
function neverMade({ name, tiers, verify }: DatabaseView, { catalog, verifications }: Held): Finding[] {
  return (['logical', 'physical'] as const).flatMap((tier) => {
    if (tiers[tier] === null) return [];
    if (!catalog.backups.some((backup) => backup.tier === tier)) {
      return [critical(`there is no ${tier} backup of ${name}`, `holdfast backup ${name} --tier ${tier}`)];
    }
    if (verifications.some((one) => one.tier === tier)) return [];
    const hint = verify === null ? 'verify is off in the configuration' : `holdfast verify ${name} --wait`;
    return [warning(`no ${tier} backup of ${name} was ever restored and verified`, hint)];
  });
}

/** A way that nobody ever went is a hope. */
function neverTakenOver(database: DatabaseView, held: Held): Finding[] {
  const { sites, last } = readinessOf(database, held);
  const { name } = database;
  if (sites.length === 0 || last !== null) return [];
  const hint = `holdfast drill ${name} --runbook full --wait; on a host of the site: holdfast doctor --site ${sites[0]}`;
  return [warning(`${name} was never taken over at ${sites.join(', ')}, not in a drill either`, hint)];
}

function drillFindings({ name, drill }: DatabaseView, drills: readonly DrillRecord[], now: Date): Finding[] {
  const hint = `holdfast drill ${name} --wait`;
  const newest = drills.find(({ outcome }) => outcome !== 'skipped');
  const off = drill === null ? ', and drill is off in the configuration' : '';
  if (newest === undefined) {
    return [warning(`how long a recovery of ${name} takes was never drilled${off}`, hint)];
  }
  const gapMs = drill === null ? null : largestGapMs([drill]);
  const ageMs = now.getTime() - Date.parse(newest.finishedAt);
  const late = gapMs !== null && ageMs > overdueAfterMs(gapMs);
  const why = newest.reasons.join('; ');
  return [
    ...(newest.outcome === 'failed' ? [critical(`the last drill of ${name} failed: ${why}`, hint)] : []),
    ...(newest.outcome === 'missed'
      ? [critical(`the last drill of ${name} missed the objective: ${why}`, hint)]
      : []),
    ...(late ? [warning(`the last drill of ${name} is ${formatSpan(ageMs)} old`, hint)] : []),
  ];
}
