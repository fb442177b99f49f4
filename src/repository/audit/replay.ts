import type { AuditedNode } from './facts.ts';
import { type Ending, earlier, NEVER, PAST } from './fate.ts';

/** Archived segments in a row, and until when they can be read. */
export interface Piece {
  timeline: number;
  first: number;
  last: number;
  ending: Ending;
  node: AuditedNode;
}

/** Segments in a row that end together; a hole has ended long ago, and has no node where nothing was there. */
export interface Stretch {
  first: number;
  last: number;
  ending: Ending;
  node: AuditedNode | null;
}

/**
 * All segments from the first archived one to the newest, as a base of this timeline meets them: of a segment that
 * several timelines have, any will do. The newest is the highest timeline's: one that was left may have gone on further.
 */
export function stretchesOver(pieces: readonly Piece[], timeline: number): Stretch[] {
  const later = pieces.filter((piece) => piece.timeline >= timeline).sort((a, b) => a.first - b.first);
  const highest = pieces.reduce((most, piece) => Math.max(most, piece.timeline), 0);
  const newest = later.reduce(
    (most, piece) => (piece.timeline === highest ? Math.max(most, piece.last) : most),
    -1,
  );
  const ends = later.flatMap(({ first, last }) => [first, last + 1]).filter((end) => end <= newest);
  const borders = [...new Set([...ends, newest + 1])].sort((a, b) => a - b);
  const stretches: Stretch[] = [];
  let [open, next]: [Piece[], number] = [[], 0];
  for (const [index, first] of borders.slice(0, -1).entries()) {
    const last = (borders[index + 1] as number) - 1;
    open = open.filter((piece) => piece.last >= first);
    for (let piece = later[next]; piece?.first === first; piece = later[next]) {
      open.push(piece);
      next += 1;
    }
    let best: Piece | null = null;
    for (const piece of open) if (best === null || piece.ending.at > best.ending.at) best = piece;
    stretches.push({ first, last, ending: best?.ending ?? PAST, node: best?.node ?? null });
  }
  return stretches;
}

/** When a replay that begins with a segment cannot go on to the newest any more. */
export function replaysFrom(stretches: readonly Stretch[]): (first: number, stop: number) => Ending {
  const breaks: Ending[] = [];
  for (let index = stretches.length - 1; index >= 0; index -= 1) {
    breaks[index] = earlier((stretches[index] as Stretch).ending, breaks[index + 1] ?? NEVER);
  }
  const [oldest, newest] = [stretches[0], stretches.at(-1)];
  return (first, stop) => {
    if (oldest === undefined || newest === undefined) return PAST;
    if (first < oldest.first || stop > newest.last) return PAST;
    const begins = stretches.findIndex(({ last }) => last >= first);
    // It begins behind the newest: nothing that is there yet is needed.
    return begins === -1 ? NEVER : (breaks[begins] ?? PAST);
  };
}
