import { compareKeyLines, type KeyOrder } from './key-order.ts';
import { LineWindow } from './line-window.ts';

const NEWLINE = 0x0a;

/**
 * Merges two streams of keys, each a line of COPY text in the same order, and hands on the lines of `restored`
 * that `production` lacks, as runs of whole lines. Equal stretches are skipped at the speed of memcmp.
 */
export async function mergeMissing(
  restoredKeys: AsyncIterable<Buffer>,
  productionKeys: AsyncIterable<Buffer>,
  orders: readonly KeyOrder[],
  emit: (lines: Buffer) => Promise<void> | void,
  onWindow: (bytes: number) => void,
): Promise<void> {
  const restored = new LineWindow(restoredKeys);
  const production = new LineWindow(productionKeys);
  while ((await restored.fill()) && (await production.fill())) {
    onWindow(restored.bytes);
    for (const lines of mergeWindows(restored, production, orders)) await emit(lines);
  }
  await production.drain();
  while (await restored.fill()) {
    onWindow(restored.bytes);
    await emit(restored.buffer.subarray(restored.start, restored.end));
    restored.start = restored.end;
  }
}

/** Merges what both windows hold until one is used up. */
function* mergeWindows(
  restored: LineWindow,
  production: LineWindow,
  orders: readonly KeyOrder[],
): Generator<Buffer> {
  let runStart = restored.start;
  while (restored.start < restored.end && production.start < production.end) {
    const same = commonLines(restored, production);
    if (same > 0) {
      restored.start += same;
      production.start += same;
      runStart = restored.start;
      continue;
    }
    const order = compareKeyLines(orders, restored.line(), production.line());
    if (order < 0) {
      restored.start = restored.lineEnd() + 1;
      // Rows that were lost often lie together: a run goes out as one piece.
      if (restored.start < restored.end && compareKeyLines(orders, restored.line(), production.line()) < 0)
        continue;
      yield restored.buffer.subarray(runStart, restored.start);
    } else {
      production.start = production.lineEnd() + 1;
      if (order === 0) restored.start = restored.lineEnd() + 1;
    }
    runStart = restored.start;
  }
}

/** Bytes of whole lines, from where both windows stand, that are the same in both. */
function commonLines(left: LineWindow, right: LineWindow): number {
  const most = Math.min(left.end - left.start, right.end - right.start);
  let equal = 0;
  let step = 64;
  let differed = false;
  while (equal < most && step > 0) {
    const size = Math.min(step, most - equal);
    if (sameBytes(left, right, equal, size)) equal += size;
    else differed = true;
    step = differed ? size >> 1 : step * 2;
  }
  if (equal === 0) return 0;
  return left.buffer.subarray(left.start, left.start + equal).lastIndexOf(NEWLINE) + 1;
}

function sameBytes(left: LineWindow, right: LineWindow, offset: number, size: number): boolean {
  const from = left.start + offset;
  const other = right.start + offset;
  return left.buffer.compare(right.buffer, other, other + size, from, from + size) === 0;
}
