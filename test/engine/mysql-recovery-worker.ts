import { createReadStream } from 'node:fs';
import { text } from 'node:stream/consumers';
import type {
  DumpSource,
  ReplayShippedInput,
  RestoreDumpsInput,
} from '../../src/engines/contract/restore.ts';
import type { ShippedContent } from '../../src/engines/contract/ship.ts';
import { replay } from '../../src/engines/mysql/replay.ts';
import { restore } from '../../src/engines/mysql/restore.ts';
import type { Progress } from '../../src/model/progress.ts';

/**
 * One step of a recovery in a process of its own, which a test kills: says each progress on stdout. With a phase it
 * stands still there, and waits to be killed. Contents are named by the paths of their files.
 */
type Named<T> = Omit<T, 'open'> & { path: string };
const input = JSON.parse(await text(process.stdin)) as {
  restore?: Omit<RestoreDumpsInput, 'dumps'> & { dumps: Named<DumpSource>[] };
  replay?: Omit<ReplayShippedInput, 'logs'> & { logs: Named<ShippedContent>[] };
};
const [, , lastPhase] = process.argv;
const run = {
  signal: new AbortController().signal,
  progress: ({ phase, done = 0 }: Progress) => {
    process.stdout.write(`progress ${phase} ${done}\n`);
    if (phase === lastPhase) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
};
const opened = <T extends { path: string }>(all: readonly T[]) =>
  all.map((one) => ({ ...one, open: () => createReadStream(one.path) }));
if (input.restore !== undefined) {
  await restore({ ...input.restore, dumps: opened(input.restore.dumps) }, run);
}
if (input.replay !== undefined) await replay({ ...input.replay, logs: opened(input.replay.logs) }, run);
