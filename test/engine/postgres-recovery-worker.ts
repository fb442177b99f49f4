import { text } from 'node:stream/consumers';
import type { ReplayInput, RestoreInput } from '../../src/engines/engine.ts';
import { replay } from '../../src/engines/postgres/replay.ts';
import { restore } from '../../src/engines/postgres/restore.ts';

/** One step of a recovery in a process of its own, which a test kills: says each progress on stdout. */
const input: unknown = JSON.parse(await text(process.stdin));
const run = {
  signal: new AbortController().signal,
  progress: () => process.stdout.write('progress\n'),
};
if (process.argv[2] === 'restore') await restore(input as RestoreInput, run);
else await replay(input as ReplayInput, run);
