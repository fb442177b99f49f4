import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, log, ParentClosePolicy, startChild } from '@temporalio/workflow';
import type { Alert } from '../model/alert.ts';
import type { LogGap } from '../model/backup.ts';
import { describeLost, gapKey, gapName } from '../model/gap.ts';
import type { Bases } from '../model/tier.ts';
import { gapBackupId } from '../model/workflow-id.ts';
import { raise } from './alerts.ts';
import { logicalBackup } from './logical-backup.ts';
import { physicalBackup } from './physical-backup.ts';

/** Logs that are lost, and what has to be known to do something about it. */
export interface FoundGap {
  database: string;
  gap: LogGap;
  /** of which tier a new base is; absent: physical */
  bases?: Bases;
}

/**
 * Whoever finds it: people are told, and a new full backup begins at once, so that moments can be recovered again. Both
 * once for each gap. What a person knows of already is left alone.
 */
export async function answerGaps(found: readonly FoundGap[], tells: boolean): Promise<void> {
  for (const { database, gap, bases } of found) {
    if (gap.acknowledged !== undefined) continue;
    const tier = bases ?? 'physical';
    if (tells) await raise(gapAlert(database, gap, tier));
    if (gap.baseAfter == null) await beginAnew(database, gap, tier);
  }
}

async function beginAnew(database: string, gap: LogGap, bases: Bases): Promise<void> {
  const workflowId = gapBackupId(database, gap, bases);
  const options = {
    workflowId,
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    parentClosePolicy: ParentClosePolicy.ABANDON,
    staticSummary: `${describeLost(gap, database)}: a new full backup`,
  } as const;
  try {
    // It outlives the run that has found the gap.
    await CancellationScope.nonCancellable(() =>
      bases === 'logical'
        ? startChild(logicalBackup, { ...options, args: [{ database }] })
        : startChild(physicalBackup, { ...options, args: [{ database, kind: 'full' }] }),
    );
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return;
    log.error('a gap has no new full backup', { workflowId, reason: String(error) });
  }
}

function gapAlert(database: string, gap: LogGap, bases: Bases): Alert {
  const next =
    gap.baseAfter == null
      ? 'a new full backup begins now: until it has ended, nothing that came after them can be recovered'
      : `every moment from the end of ${gap.baseAfter} on can be recovered`;
  return {
    ...{ key: gapKey(database, gap), severity: 'critical', database },
    title: `${describeLost(gap, database)}: no moment in between can be recovered`,
    text: next,
    hint: `look for who removed them, then: holdfast gap acknowledge ${database} --gap ${gapName(gap)} --reason …`,
    workflowId: gap.baseAfter == null ? gapBackupId(database, gap, bases) : null,
    at: new Date().toISOString(),
  };
}
