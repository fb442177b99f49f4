import { compareKeyLines, type KeyOrder } from './key-order.ts';
import { LineWindow } from './line-window.ts';

const NEWLINE = 0x0a;

/** How a row differs: in the restored copy only, in both but not alike, in production only. */
export const DIFFERENCE_KINDS = ['missing', 'changed', 'extra'] as const;
export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number];

/** Takes a line of a kind, its newline excluded. A promise only where it has to be waited for. */
export type Emit = (kind: DifferenceKind, line: Buffer) => Promise<void> | undefined;

/**
 * Merges two streams of lines of COPY text in the same order: the key's fields, and behind them what tells rows
 * with the same key apart. Equal stretches are skipped at the speed of memcmp.
 */
export async function mergeDifferences(
  restoredLines: AsyncIterable<Buffer>,
  productionLines: AsyncIterable<Buffer>,
  orders: readonly KeyOrder[],
  emit: Emit,
  onWindow: (bytes: number) => void,
): Promise<void> {
  const restored = new LineWindow(restoredLines);
  const production = new LineWindow(productionLines);
  while ((await fill(restored, production)).every(Boolean)) {
    onWindow(restored.bytes);
    await mergeWindows(restored, production, orders, emit);
  }
  await Promise.all([emitRest(restored, 'missing', emit), emitRest(production, 'extra', emit)]);
}

/** Both at once: each server works while the other's lines are waited for. */
function fill(restored: LineWindow, production: LineWindow): Promise<boolean[]> {
  return Promise.all([restored.fill(), production.fill()]);
}

/** Merges what both windows hold until one is used up. */
async function mergeWindows(
  restored: LineWindow,
  production: LineWindow,
  orders: readonly KeyOrder[],
  emit: Emit,
): Promise<void> {
  while (restored.start < restored.end && production.start < production.end) {
    const same = commonLines(restored, production);
    if (same > 0) {
      restored.start += same;
      production.start += same;
      continue;
    }
    const line = restored.line();
    const other = production.line();
    const order = compareKeyLines(orders, line, other);
    if (order <= 0) restored.start += line.length + 1;
    if (order >= 0) production.start += other.length + 1;
    const kind = order < 0 ? 'missing' : order > 0 ? 'extra' : 'changed';
    const written = emit(kind, kind === 'extra' ? other : line);
    if (written !== undefined) await written;
  }
}

async function emitRest(window: LineWindow, kind: DifferenceKind, emit: Emit): Promise<void> {
  while (await window.fill()) {
    while (window.start < window.end) {
      const line = window.line();
      window.start += line.length + 1;
      const written = emit(kind, line);
      if (written !== undefined) await written;
    }
  }
}

const SHORT = 64;

/**
 * Bytes of whole lines, from where both windows stand, that are the same in both. A short stretch is compared
 * byte by byte, since differences are often close together; a longer one at growing steps of memcmp, and back.
 */
function commonLines(left: LineWindow, right: LineWindow): number {
  const most = Math.min(left.end - left.start, right.end - right.start);
  const near = commonBytes(left, right, 0, Math.min(most, SHORT));
  if (near.differs || near.bytes === most) return near.lines;
  let equal = near.bytes;
  let step = SHORT * 4;
  let differed = false;
  while (equal < most && step >= SHORT) {
    const size = Math.min(step, most - equal);
    if (sameBytes(left, right, equal, size)) equal += size;
    else differed = true;
    step = differed ? size >> 1 : step * 2;
  }
  const far = commonBytes(left, right, equal, most);
  if (far.lines > 0) return far.lines;
  return left.buffer.subarray(left.start, left.start + equal).lastIndexOf(NEWLINE) + 1;
}

/** From an offset up to a limit: how far both are equal, and up to the end of which line. */
function commonBytes(left: LineWindow, right: LineWindow, offset: number, limit: number) {
  const [one, other] = [left.buffer, right.buffer];
  let bytes = offset;
  let lines = 0;
  for (; bytes < limit; bytes += 1) {
    const value = one[left.start + bytes];
    if (value !== other[right.start + bytes]) return { bytes, lines, differs: true };
    if (value === NEWLINE) lines = bytes + 1;
  }
  return { bytes, lines, differs: false };
}

function sameBytes(left: LineWindow, right: LineWindow, offset: number, size: number): boolean {
  const from = left.start + offset;
  const other = right.start + offset;
  return left.buffer.compare(right.buffer, other, other + size, from, from + size) === 0;
}
