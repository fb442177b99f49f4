import type { LifecycleRule } from '../../model/lifecycle.ts';

/** The rules that a key has to do with, whatever its size; the same list for keys that share them. */
export type RulesFor = (key: string) => readonly LifecycleRule[];

/**
 * A bucket may have a thousand rules and a million versions: rules are found by the beginnings of a key that are a
 * rule's prefix, once for each folder. Holdfast sets no tags: a rule that asks for one never fits.
 */
export function indexRules(rules: readonly LifecycleRule[], prefix: string): RulesFor {
  const byPrefix = new Map<string, LifecycleRule[]>();
  for (const rule of rules) {
    if (!rule.enabled || Object.keys(rule.tags).length > 0) continue;
    byPrefix.set(rule.prefix, [...(byPrefix.get(rule.prefix) ?? []), rule]);
  }
  const lengths = [...new Set([...byPrefix.keys()].map(({ length }) => length))].sort((a, b) => a - b);
  const longest = lengths.at(-1) ?? 0;
  const within = (key: string, from: number) =>
    lengths.flatMap((length) =>
      length > from && length <= key.length ? (byPrefix.get(key.slice(0, length)) ?? []) : [],
    );
  const byFolder = new Map<string, readonly LifecycleRule[]>();
  let [folder, found]: [string, readonly LifecycleRule[]] = ['', within(prefix, -1)];
  return (relative) => {
    // Most keys lie in the folder of the one before.
    if (!relative.startsWith(folder) || relative.includes('/', folder.length)) {
      folder = relative.slice(0, relative.lastIndexOf('/') + 1);
      found = byFolder.get(folder) ?? within(prefix + folder, -1);
      byFolder.set(folder, found);
    }
    const known = prefix.length + folder.length;
    if (longest <= known) return found;
    const further = within(prefix + relative, known);
    return further.length === 0 ? found : [...found, ...further];
  };
}

export function fitsSize({ largerThanBytes, smallerThanBytes }: LifecycleRule, bytes: number): boolean {
  return (
    (largerThanBytes === null || bytes > largerThanBytes) &&
    (smallerThanBytes === null || bytes < smallerThanBytes)
  );
}
