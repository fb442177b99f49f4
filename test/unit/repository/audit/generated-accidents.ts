import fc from 'fast-check';
import type { AuditedNode, AuditedVersion } from '../../../../src/repository/audit/facts.ts';
import { DAY, HOUR } from './generated-basics.ts';

/** Something that befell one version of a node, or all of them. */
interface Accident {
  node: number;
  version: number;
  what: (typeof KINDS)[number];
  days: number;
}
const KINDS = [
  ...(['marker', 'overwritten', 'missing', 'locked', 'locked', 'not-asked', 'held', 'archived'] as const),
  ...([
    'small',
    'all-locked',
    'all-locked',
    'all-locked',
    'all-archived',
    'all-held',
    'replaced',
    'replaced',
    'need',
    'no-replay',
  ] as const),
] as const;

export const accidents: fc.Arbitrary<Accident[]> = fc.array(
  fc.record({
    node: fc.nat(),
    version: fc.nat({ max: 2 }),
    what: fc.constantFrom(...KINDS),
    days: fc.integer({ min: 0, max: 40 }),
  }),
  { maxLength: 4 },
);

/** The versions that it brought, which belong to nothing. */
export function befall(nodes: AuditedNode[], accident: Accident, now: number): AuditedVersion[] {
  const { what, days } = accident;
  const node = nodes[accident.node % nodes.length];
  const version = node?.versions[accident.version % node.versions.length];
  if (node === undefined || version === undefined) return [];
  const lock = { mode: 'GOVERNANCE' as const, until: now + (days - 7) * DAY };
  if (what === 'marker' || what === 'overwritten') {
    version.noncurrentSince = Math.min(now, version.writtenAt + days * HOUR);
    version.under = what === 'marker' ? 'marker' : 'version';
  } else if (what === 'replaced') {
    version.noncurrentSince = Math.min(now, version.writtenAt + days * HOUR);
    version.under = 'version';
    const isHidden = days % 2 === 1;
    const newer = { ...version, versionId: 'v2', writtenAt: version.noncurrentSince };
    const top = isHidden
      ? { noncurrentSince: now, under: 'marker' as const }
      : { noncurrentSince: null, under: null };
    return [{ ...newer, ...top }];
  } else if (what === 'need') {
    if (node.kind === 'diff') node.needs.push('F0');
  } else if (what === 'no-replay') delete node.replayFrom;
  else if (what === 'missing') {
    // A run of logs has no holes: where one is, there are two runs.
    if (node.kind !== 'logs') node.missing.push(`${version.key}-other`);
  } else if (what === 'locked') version.lock = lock;
  else if (what === 'all-locked') for (const each of node.versions) each.lock = lock;
  else if (what === 'not-asked') {
    delete version.lock;
    delete version.legalHold;
  } else if (what === 'held') version.legalHold = true;
  else if (what === 'all-held') for (const each of node.versions) each.legalHold = true;
  else if (what === 'archived') version.storageClass = 'GLACIER';
  else if (what === 'all-archived') for (const each of node.versions) each.storageClass = 'DEEP_ARCHIVE';
  else version.sizeBytes = 100;
  return [];
}
