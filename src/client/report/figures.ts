import type { DrillRecord } from '../../model/drill.ts';
import type { Held } from './facts.ts';

/** How a recovery stands to its objective: of the newest drills of each kind that came to an end, the slowest. */
export function slowestNow(drills: readonly DrillRecord[]): DrillRecord | null {
  const measured = drills.filter(({ recoverySeconds }) => recoverySeconds !== null);
  const newest = [...Map.groupBy(measured, ({ runbook }) => runbook).values()].flatMap(
    ([first]) => first ?? [],
  );
  return newest.toSorted((a, b) => (b.recoverySeconds ?? 0) - (a.recoverySeconds ?? 0))[0] ?? null;
}

/** The newest verification of each tier. */
export function newestOfTiers(verifications: Held['verifications']): Held['verifications'] {
  const seen = new Set<string>();
  return verifications.filter(({ tier }) => !seen.has(tier) && seen.add(tier));
}
