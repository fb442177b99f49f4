import { formatDuration } from './duration.ts';
import { median } from './median.ts';
import { type RunbookStatus, secondsOf } from './runbook.ts';
import { describeTarget, type Target } from './target.ts';

/** What drills take turns with. */
export const DRILLED = ['pointInTimeRecovery', 'selectiveTableRestore', 'fullDisasterRecovery'] as const;
export type Drilled = (typeof DRILLED)[number];

/** A run with this memo is the recovery of the drill that it names: whatever its plan is, it is rejected. */
export const DRILL_MEMO = 'drill';
/** Who rejects it. */
export const DRILL_PERSON = 'drill';

export type DrillOutcome = 'met' | 'missed' | 'failed' | 'skipped';

/** What is recovered in a drill: the input of its runbook, as far as the drill chooses it. */
export interface DrillChoice {
  runbook: Drilled;
  /** null: that of the newest logical backup */
  target: Target | null;
  /** null: no table is known both then and now; the whole server is recovered, and nothing compared */
  tables: string[] | null;
  /** left out: the site of the drill itself */
  site?: string;
}

/** `drill/<database>/<workflow id>.json`: the scorecard of a drill. Part of the contract. */
export interface DrillRecord {
  formatVersion: 1;
  database: string;
  workflowId: string;
  /** null where nothing could be chosen */
  runbook: Drilled | null;
  target: Target | null;
  tables: string[] | null;
  site: string | null;
  startedAt: string;
  finishedAt: string;
  outcome: DrillOutcome;
  /** until production would have had its rows again, without the time that people take; null: it did not come so far */
  recoverySeconds: number | null;
  objectiveSeconds: number;
  /** in their order; the import or the switch, which a drill never does, as the plan estimates it */
  steps: { name: string; seconds: number; estimated?: true }[];
  plan: { digest: string; summary: string } | null;
  /** of the same runbook: the earlier drills that came to an end, and how much longer than their median this one took */
  earlier: { drills: number; medianSeconds: number; slowerBySeconds: number } | null;
  reasons: string[];
  /** of the runbook that was drilled */
  evidence: string | null;
}

/** The next kind after the last one. */
export function nextDrilled(possible: readonly Drilled[], last: Drilled | null): Drilled | null {
  const turn = last === null ? 0 : DRILLED.indexOf(last) + 1;
  const order = [...DRILLED.slice(turn), ...DRILLED.slice(0, turn)];
  return order.find((kind) => possible.includes(kind)) ?? null;
}

/** What is not part of getting the rows back: people, and what comes after. */
const BESIDE = ['decide', 'decide switch', 'import', 'verify', 'remove instance'];
/** From here on a drill is slower than the earlier ones to a person, too. */
const SLOWER_FROM = 1.5;
const LEAST_DIFFERENCE_SECONDS = 10;

/** What came of a drill, from the last word of the runbook that it ran. `earlier`: seconds of the same kind. */
export function scoreOf(
  status: Pick<RunbookStatus, 'steps' | 'plan'>,
  { objectiveSeconds, earlier }: { objectiveSeconds: number; earlier: readonly number[] },
): Pick<
  DrillRecord,
  'outcome' | 'recoverySeconds' | 'objectiveSeconds' | 'steps' | 'plan' | 'earlier' | 'reasons'
> {
  const taken: DrillRecord['steps'] = status.steps
    .filter(({ name, state }) => state === 'done' && !BESIDE.includes(name))
    .map((step) => ({ name: step.name, seconds: secondsOf(step) ?? 0 }));
  const { plan } = status;
  const last = status.steps.some(({ name }) => name === 'switch') ? 'switch' : 'import';
  if (plan !== null) taken.push({ name: last, seconds: plan.estimateSeconds, estimated: true });
  const recoverySeconds = taken.reduce((sum, { seconds }) => sum + seconds, 0);
  const met = recoverySeconds <= objectiveSeconds;
  const beside = besideEarlier(recoverySeconds, earlier);
  const [took, objective] = [spanOf(recoverySeconds), spanOf(objectiveSeconds)];
  return {
    ...{ outcome: met ? 'met' : 'missed', recoverySeconds, objectiveSeconds, steps: taken, earlier: beside },
    plan: plan === null ? null : { digest: plan.digest, summary: plan.summary },
    reasons: [
      ...(met ? [] : [`the recovery takes ${took}, and the objective (RTO) is ${objective}`]),
      ...(isSlower(beside)
        ? [
            `${took} is slower than before: the median of ${beside.drills} earlier is ${spanOf(beside.medianSeconds)}`,
          ]
        : []),
    ],
  };
}

function besideEarlier(seconds: number, earlier: readonly number[]): DrillRecord['earlier'] {
  if (earlier.length === 0) return null;
  const medianSeconds = median(earlier);
  return { drills: earlier.length, medianSeconds, slowerBySeconds: seconds - medianSeconds };
}

function isSlower(earlier: DrillRecord['earlier']): earlier is NonNullable<DrillRecord['earlier']> {
  if (earlier === null || earlier.slowerBySeconds < LEAST_DIFFERENCE_SECONDS) return false;
  return earlier.slowerBySeconds >= earlier.medianSeconds * (SLOWER_FROM - 1);
}

const spanOf = (seconds: number): string => formatDuration(Math.round(seconds * 1_000));

/** `pointInTimeRecovery of public.orders to 2026-01-31T14:05:00Z`. */
export function describeDrill({ runbook, target, tables }: DrillChoice): string {
  const what = tables === null ? '' : ` of ${tables.join(', ')}`;
  return `${runbook}${what}${target === null ? '' : ` to ${describeTarget(target)}`}`;
}
