import { text } from 'node:stream/consumers';
import type {
  ReplayArchivedInput,
  RestoreFilesInput,
  TakeOverInput,
} from '../../src/engines/contract/restore.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { restore } from '../../src/engines/postgres/restore.ts';
import { takeOver } from '../../src/engines/postgres/takeover/take-over.ts';
import type { Progress } from '../../src/model/progress.ts';

/**
 * One step of a recovery in a process of its own, which a test kills: says each progress on stdout. With a phase it
 * stands still there, and waits to be killed.
 */
const input: unknown = JSON.parse(await text(process.stdin));
const [, , step, lastPhase] = process.argv;
const run = {
  signal: new AbortController().signal,
  progress: ({ phase }: Progress) => {
    process.stdout.write(`progress ${phase}\n`);
    if (phase === lastPhase) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
};
if (step === 'restore') await restore(input as RestoreFilesInput, run);
else if (step === 'replay') await replay(input as ReplayArchivedInput, run);
else await takeOver(input as TakeOverInput, run);
