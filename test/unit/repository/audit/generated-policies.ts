import fc from 'fast-check';
import type { AuditedPolicy } from '../../../../src/repository/audit/facts.ts';
import { DAY, days, HOUR } from './generated-basics.ts';

/** Durations: mostly whole days, some a little beside. */
const spans = (max: number): fc.Arbitrary<number> =>
  fc
    .tuple(days(max), fc.constantFrom(0, 0, 0, 0, 1, -1, HOUR, -HOUR))
    .map(([length, beside]) => length * DAY + beside);

const fullCrons = fc.constantFrom<string[]>(
  ...[['0 20 * * 0'], ['0 20 * * 0'], ['30 3 * * *'], ['0 0 * * *'], ['0 0 */3 * *'], ['15 6 1 * *'], []],
  ['0 20 * * 0', '0 8 * * 3'],
);
const diffCrons = fc.constantFrom<string[]>(
  ...[['0 20 * * 1-6'], ['0 20 * * 1-6'], ['0 20 * * *'], ['0 0 * * *'], ['0 2,14 * * *'], []],
);
const logicalCrons = fc.constantFrom<string[]>(
  ['0 2 * * *'],
  ['0 2 * * *'],
  ['0 0 * * *'],
  ['0 18 1 * *'],
  [],
);

export function policies(scale: number): fc.Arbitrary<AuditedPolicy> {
  return fc
    .record({
      windowMs: fc.option(spans(14), { freq: 6 }),
      logicalMs: spans(30 * scale),
      physicalMs: spans(40 * scale),
      snapshotMs: fc.oneof(spans(100), fc.constant(365 * DAY)),
      fulls: fullCrons,
      diffs: diffCrons,
      logicals: logicalCrons,
      snapshots: fc.boolean(),
      retentionFull: fc.oneof(fc.integer({ min: 1, max: 7 }), fc.constant(15)),
      archive: fc.integer({ min: 1, max: 7 }),
      lock: fc.constantFrom(null, 'GOVERNANCE' as const, 'COMPLIANCE' as const),
      logicalClass: fc.constantFrom('STANDARD', 'STANDARD_IA', 'GLACIER'),
      snapshotClass: fc.constantFrom('STANDARD', 'DEEP_ARCHIVE'),
    })
    .map(({ archive, ...policy }) => ({
      ...policy,
      retentionArchive: Math.min(policy.retentionFull, archive),
    }));
}

/** Enough fulls are kept for what is promised, as Holdfast derives it. */
export function sensiblePolicies(scale: number): fc.Arbitrary<AuditedPolicy> {
  const schedules = fc.constantFrom<{ fulls: string[]; diffs: string[]; gap: number }>(
    { fulls: ['0 20 * * 0'], diffs: ['0 20 * * 1-6'], gap: 7 },
    { fulls: ['0 0 * * *'], diffs: [], gap: 1 },
    { fulls: ['0 20 * * 0', '0 8 * * 3'], diffs: ['0 2,14 * * *'], gap: 5 },
  );
  return fc.tuple(policies(scale), schedules).map(([policy, { gap, ...crons }]) => {
    const keep = (kept: number) => Math.max(2, Math.ceil(kept / DAY / gap) + 1);
    const retentionFull = keep(policy.physicalMs);
    const retentionArchive = Math.min(retentionFull, keep(policy.windowMs ?? 0));
    return { ...policy, ...crons, retentionFull, retentionArchive };
  });
}
