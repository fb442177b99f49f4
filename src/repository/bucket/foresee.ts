import type { AuditFinding } from '../../model/audit.ts';
import { audit } from '../audit/audit.ts';
import type { AuditFacts } from '../audit/facts.ts';
import { isOurs } from './difference.ts';
import type { BucketSettings } from './settings.ts';

/** What the year ahead loses by a plan, and what it gains. */
export interface Foreseen {
  /** found with the planned settings, and not with those of now */
  brings: AuditFinding[];
  /** found with the settings of now, and not with the planned ones */
  mends: AuditFinding[];
}

/** Plays the year twice: with the settings that the bucket has, and with those that it would have. */
export function foresee(facts: AuditFacts, desired: BucketSettings): Foreseen {
  const planned: AuditFacts = {
    ...facts,
    bucket: {
      versioning: desired.versioning,
      objectLock: desired.objectLock ?? facts.bucket.objectLock,
    },
    rules: [...facts.rules.filter(({ id }) => !isOurs(id)), ...desired.rules],
  };
  const now = audit(facts).findings;
  const then = audit(planned).findings;
  return { brings: without(then, now), mends: without(now, then) };
}

function without(findings: readonly AuditFinding[], others: readonly AuditFinding[]): AuditFinding[] {
  const nameOf = ({ database, code, what }: AuditFinding) => JSON.stringify([database, code, what]);
  const known = new Set(others.map(nameOf));
  return findings.filter((finding) => !known.has(nameOf(finding)));
}
