import type { InstanceRecord } from './instance.ts';

/** `unknown`: it could not be asked; only the expiry counts then. A workflow that no longer exists is closed. */
export type OwnerState = 'running' | 'closed' | 'unknown';

export interface Removal {
  record: InstanceRecord;
  /** for people and the log */
  reason: string;
}

/** The instances that nobody needs any more, with the reason. `ownerState` is asked by record. */
export function removalsDue(
  records: readonly InstanceRecord[],
  ownerState: (record: InstanceRecord) => OwnerState,
  now: Date,
): Removal[] {
  return records.flatMap((record) => {
    const reason = reasonToRemove(record, ownerState(record), now);
    return reason === null ? [] : [{ record, reason }];
  });
}

function reasonToRemove(record: InstanceRecord, owner: OwnerState, now: Date): string | null {
  if (record.role === 'production') return null;
  // Its database lives there while people decide, for as long as they take.
  if (record.role === 'candidate' && owner === 'running') return null;
  const expires = Date.parse(record.expiresAt);
  // A time that cannot be read must not keep an instance for ever.
  if (Number.isNaN(expires) || expires <= now.getTime()) return `it expired at ${record.expiresAt}`;
  if (owner === 'closed' && !record.kept) return `its workflow ${record.owner.workflowId} is closed`;
  return null;
}
