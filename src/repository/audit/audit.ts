import type { AuditReport } from '../../model/audit.ts';
import type { AuditFacts } from './facts.ts';

/** A year. */
export const HORIZON_DAYS = 366;

/** Plays the calendar forward over what is there and what will be made, and says what will not hold. Pure. */
export function audit(_facts: AuditFacts, _horizonDays: number = HORIZON_DAYS): AuditReport {
  throw new TypeError('not written yet');
}
