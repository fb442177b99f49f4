import type { LoadedDataConverter } from '@temporalio/common';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import proto, { type temporal } from '@temporalio/proto';
import { z } from 'zod';
import type { Progress } from '../model/progress.ts';
import type { RunbookStatus } from '../model/runbook.ts';

type RawPendingActivity = temporal.api.workflow.v1.IPendingActivityInfo;
const STATES = proto.temporal.api.enums.v1.PendingActivityState;

/** An activity that is under way or waits for a worker or its next attempt, as the Temporal server tells it. */
export interface PendingActivity {
  type: string;
  queue: string | null;
  /** `waiting`: no worker has taken it, or it waits for its next attempt */
  state: 'running' | 'waiting' | 'cancelling';
  attempt: number;
  startedAt: string | null;
  /** of the attempt before this one */
  lastFailure: string | null;
  retryAt: string | null;
  heartbeatAt: string | null;
  progress: Progress | null;
}

// A heartbeat's details are whatever the worker sent, maybe one of another version.
const progressSchema = z.object({
  phase: z.string(),
  done: z.number().optional(),
  total: z.number().optional(),
  unit: z.enum(['bytes', 'rows', 'segments', 'tables']).optional(),
  detail: z.string().optional(),
});

/** Reads the pending activities of a described run; heartbeats are decoded with the client's own converter. */
export async function readPendingActivities(
  raw: readonly RawPendingActivity[] | null | undefined,
  converter: LoadedDataConverter,
): Promise<PendingActivity[]> {
  return Promise.all((raw ?? []).map((activity) => readPendingActivity(activity, converter)));
}

async function readPendingActivity(
  raw: RawPendingActivity,
  converter: LoadedDataConverter,
): Promise<PendingActivity> {
  const started = raw.state === STATES.PENDING_ACTIVITY_STATE_STARTED;
  const cancelling = raw.state === STATES.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED;
  return {
    type: raw.activityType?.name ?? 'activity',
    queue: raw.activityOptions?.taskQueue?.name ?? null,
    state: started ? 'running' : cancelling ? 'cancelling' : 'waiting',
    attempt: raw.attempt ?? 1,
    startedAt: timeOf(raw.lastStartedTime),
    lastFailure: (await decodeOptionalFailureToOptionalError(converter, raw.lastFailure))?.message ?? null,
    retryAt: started ? null : timeOf(raw.scheduledTime),
    heartbeatAt: timeOf(raw.lastHeartbeatTime),
    progress: await progressOf(raw, converter),
  };
}

async function progressOf(raw: RawPendingActivity, converter: LoadedDataConverter): Promise<Progress | null> {
  const payloads = raw.heartbeatDetails?.payloads;
  if (payloads === null || payloads === undefined || payloads.length === 0) return null;
  try {
    const details = await decodeArrayFromPayloads(converter, payloads);
    return (details.map((detail) => progressSchema.safeParse(detail)).find((parsed) => parsed.success)
      ?.data ?? null) as Progress | null;
  } catch {
    return null;
  }
}

/** The running step shows what the activity that reported last is doing: a query cannot see heartbeats. */
export function mergeProgress(status: RunbookStatus, activities: readonly PendingActivity[]): RunbookStatus {
  const latest = activities
    .filter((activity) => activity.progress !== null)
    .sort((a, b) => (b.heartbeatAt ?? '').localeCompare(a.heartbeatAt ?? ''))[0]?.progress;
  if (latest === undefined || latest === null) return status;
  const index = status.steps.findLastIndex((step) => step.state === 'running');
  return {
    ...status,
    steps: status.steps.map((step, at) => (at === index ? { ...step, progress: latest } : step)),
  };
}

/** How fast something goes, and how long it still takes where the total is known. */
export interface Speed {
  perSecond: number;
  secondsLeft: number | null;
}

/** Looks back this far, so that a stall shows within seconds and a single burst does not jump. */
const WINDOW_MS = 30_000;

/** Speed over successive looks at the same piece of work; starts anew where the phase changes or counts back. */
export class SpeedMeter {
  #phase: string | null = null;
  #seen: { at: number; done: number }[] = [];

  observe(progress: Progress | undefined, nowMs: number): Speed | null {
    if (progress?.done === undefined) return null;
    const last = this.#seen.at(-1);
    if (this.#phase !== progress.phase || (last !== undefined && progress.done < last.done)) this.#seen = [];
    this.#phase = progress.phase;
    this.#seen.push({ at: nowMs, done: progress.done });
    while (this.#seen.length > 2 && (this.#seen[1]?.at ?? nowMs) <= nowMs - WINDOW_MS) this.#seen.shift();
    const first = this.#seen[0];
    if (first === undefined || nowMs - first.at < 500) return null;
    const perSecond = ((progress.done - first.done) * 1_000) / (nowMs - first.at);
    const left = progress.total === undefined ? null : Math.max(0, progress.total - progress.done);
    return { perSecond, secondsLeft: left === null || perSecond <= 0 ? null : left / perSecond };
  }
}

function timeOf(raw: { seconds?: unknown; nanos?: number | null } | null | undefined): string | null {
  if (raw?.seconds === undefined || raw.seconds === null) return null;
  return new Date(Number(raw.seconds) * 1_000 + Math.floor((raw.nanos ?? 0) / 1e6)).toISOString();
}
