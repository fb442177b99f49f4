import type { AuditedVersion, AuditFacts } from './facts.ts';
import { expiry, type Store } from './fate.ts';
import type { World } from './life.ts';
import { indexRules } from './rule-index.ts';

/** The repository's rules, ready to be asked. */
export function worldOf(facts: AuditFacts): World {
  const rulesFor = indexRules(facts.rules, facts.repository.prefix);
  const store: Store = { versioning: facts.bucket.versioning, now: facts.now, newer: () => [] };
  if (!facts.rules.some(({ expireNoncurrent }) => (expireNoncurrent?.keepNewer ?? 0) > 0)) {
    return { store, rulesFor };
  }
  const siblings = Map.groupBy(allVersions(facts), ({ key }) => key);
  const newer: Store['newer'] = (version) =>
    (siblings.get(version.key) ?? [])
      .filter(({ writtenAt }) => writtenAt > version.writtenAt)
      .map((one) => one.noncurrentSince ?? expiry(one, rulesFor(one.key), store).at)
      .sort((a, b) => a - b);
  return { store: { ...store, newer }, rulesFor };
}

function allVersions({ databases, toolFiles, orphans }: AuditFacts): AuditedVersion[] {
  return [
    ...databases.flatMap(({ nodes }) => nodes.flatMap(({ versions }) => versions)),
    ...toolFiles,
    ...orphans.flatMap(({ versions }) => versions),
  ];
}
