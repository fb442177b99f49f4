import type { DesiredSchedule } from '../config/schedules.ts';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import type { Problem } from '../model/problem.ts';

/** What Temporal has of a schedule. */
export interface ScheduleSeen {
  paused: boolean;
  note: string | null;
  /** the earliest that is known of it, in milliseconds: its creation, or one of its runs */
  since: number;
}

/** Jobs that Temporal will not start: their schedules are missing, or somebody paused them. */
export function scheduleProblems(
  desired: readonly DesiredSchedule[],
  seen: ReadonlyMap<string, ScheduleSeen>,
): Problem[] {
  if (desired.every(({ id }) => !seen.has(id))) return [noneAtAll(desired.length)];
  return desired.flatMap(({ id, attributes }): Problem[] => {
    const database = attributes[SEARCH_ATTRIBUTES.database] ?? null;
    const found = seen.get(id);
    if (found === undefined) {
      return [
        {
          key: `schedule-missing/${id}`,
          database,
          severity: 'critical',
          what: `schedule ${id} is missing in Temporal: what it starts does not run`,
          since: null,
          hint: 'holdfast schedules apply',
          told: 'nothing',
        },
      ];
    }
    if (!found.paused) return [];
    return [
      {
        key: `schedule-paused/${id}`,
        database,
        severity: 'warning',
        what: `schedule ${id} is paused${found.note === null ? '' : `: ${found.note}`}`,
        since: null,
        hint: `temporal schedule toggle --unpause --schedule-id ${id}`,
        told: 'nothing',
      },
    ];
  });
}

function noneAtAll(count: number): Problem {
  return {
    key: 'schedule-missing',
    database: null,
    severity: 'critical',
    what: `none of the ${count} schedules is in Temporal: nothing runs by itself`,
    since: null,
    hint: 'holdfast schedules apply',
    told: 'nothing',
  };
}
