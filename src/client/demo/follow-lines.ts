import type { Client } from '@temporalio/client';
import type { RunbookStatus } from '../../model/runbook.ts';
import { follow, type Observed } from '../observe.ts';
import { SpeedMeter } from '../progress.ts';
import { formatEvents } from '../view/events.ts';
import { formatProgress } from '../view/progress.ts';
import type { Narrator } from './narrator.ts';

const PROGRESS_EVERY_MS = 3_000;

/** Follows a run, one line for each change and a few for the progress of long steps. */
export async function followInLines(
  client: Client,
  workflowId: string,
  options: { narrator: Narrator; until: 'decision' | 'end'; signal: AbortSignal; since?: RunbookStatus },
): Promise<Observed> {
  const meter = new SpeedMeter();
  let before = options.since ?? null;
  let shown = { phase: '', at: 0 };
  return follow(client, workflowId, {
    until: options.until,
    everyMs: 500,
    signal: options.signal,
    onLook: ({ status }) => {
      const now = new Date();
      for (const line of formatEvents(before, status, now)) options.narrator.show(line);
      before = status;
      const step = status.steps.find((candidate) => candidate.progress !== undefined);
      const speed = meter.observe(step?.progress, now.getTime());
      if (step?.progress === undefined) return;
      const due = now.getTime() - shown.at >= PROGRESS_EVERY_MS;
      if (!due && step.progress.phase === shown.phase) return;
      shown = { phase: step.progress.phase, at: now.getTime() };
      options.narrator.show(`                      ${step.name}: ${formatProgress(step.progress, speed)}`);
    },
  });
}
