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
    for (const lines of mergeWindows(restored, production, orders)) {
      const written = emit(lines);
      if (written !== undefined) await written;
    }
  }
  await production.drain();
  while (await restored.fill()) {
    onWindow(restored.bytes);
    await emit(restored.buffer.subarray(restored.start, restored.end));
    restored.start = restored.end;
  }
}

/** Merges what both windows hold until one is used up. Rows that were lost often lie together: runs go out whole. */
function* mergeWindows(
  restored: LineWindow,
  production: LineWindow,
  orders: readonly KeyOrder[],
): Generator<Buffer> {
  let runStart = restored.start;
  const run = () => restored.buffer.subarray(runStart, restored.start);
  while (restored.start < restored.end && production.start < production.end) {
    const same = commonLines(restored, production);
    const order = same > 0 ? 0 : compareKeyLines(orders, restored.line(), production.line());
    if (order < 0) {
      restored.start = restored.lineEnd() + 1;
      continue;
    }
    if (restored.start > runStart) yield run();
    if (order > 0) production.start = production.lineEnd() + 1;
    else {
      restored.start = same > 0 ? restored.start + same : restored.lineEnd() + 1;
      production.start = same > 0 ? production.start + same : production.lineEnd() + 1;
    }
    runStart = restored.start;
  }
  if (restored.start > runStart) yield run();
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
