import type { DatabaseView } from '../../config/describe.ts';
import { formatAge, formatTime } from '../output.ts';
import { formatSpan } from '../view/duration.ts';
import type { Held } from './facts.ts';

/** Whether a database could be taken over, and when that was last done or drilled. */
export interface DisasterReadiness {
  /** sites that can take it over */
  sites: string[];
  /** where a disaster recovery has moved it; null: it lives where the configuration says */
  moved: { site: string; at: string } | null;
  /** the newest one; null: there was none */
  last: { kind: 'drill' | 'recovery'; at: string; outcome: string; seconds: number | null } | null;
}

const RUNBOOK = 'fullDisasterRecovery';

export function readinessOf({ config, topology }: DatabaseView, held: Held | null): DisasterReadiness {
  const drills = held?.drills.filter(({ runbook, outcome }) => runbook === RUNBOOK && outcome !== 'skipped');
  const runs = held?.decided.filter(({ runbook }) => runbook === RUNBOOK);
  const all = [
    ...(drills ?? []).map(({ finishedAt, outcome, recoverySeconds }) => ({
      ...{ kind: 'drill' as const, at: finishedAt, outcome, seconds: recoverySeconds },
    })),
    ...(runs ?? []).map(({ writtenAt, outcome }) => ({
      ...{ kind: 'recovery' as const, at: writtenAt, outcome, seconds: null },
    })),
  ];
  return {
    sites: Object.keys(config.takeover),
    moved: topology === null ? null : { site: topology.site, at: topology.at },
    last: all.toSorted((a, b) => Date.parse(b.at) - Date.parse(a.at))[0] ?? null,
  };
}

/** One sentence or two, for the page and the terminal. */
export function describeReadiness({ sites, moved, last }: DisasterReadiness, now: Date): string {
  const where = moved === null ? '' : `It lives at ${moved.site} since ${formatTime(moved.at)}. `;
  if (sites.length === 0) return `${where}No site can take it over (takeover in the configuration).`;
  const took = last?.seconds == null ? '' : ` in ${formatSpan(last.seconds * 1_000)}`;
  const when =
    last === null
      ? 'never recovered there, and never drilled'
      : `last ${last.kind} ${formatAge(last.at, now)}: ${last.outcome}${took}`;
  return `${where}Can be taken over at ${sites.join(', ')}; ${when}.`;
}
