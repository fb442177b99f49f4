import type { Differences } from './differences.ts';
import { checkedUniques, ownKeys } from './effects.ts';
import type { Compared } from './scratch.ts';
import { isSameTable } from './table.ts';

/**
 * Whether anything asks which values production's rows have: those of a unique index or a parent, where rows come; of
 * parents or children, where rows change or go. Without a key the rows are there anyway.
 */
export function isLiveNeeded(compared: Compared, all: ReadonlyMap<Compared, Differences>): boolean {
  const { pair } = compared;
  const { isComing, isGoing } = all.get(compared) as Differences;
  if (pair.key === null || (isComing && checkedUniques(compared).length > 0)) return true;
  if (isGoing && pair.production.referencedBy.length > 0) return true;
  return [...all].some(
    ([other, kinds]) =>
      (kinds.isComing && ownKeys(other).some(({ parent }) => isSameTable(parent, pair.parts))) ||
      (kinds.isGoing &&
        other.pair.production.referencedBy.some(({ child }) => isSameTable(child, pair.parts))),
  );
}
