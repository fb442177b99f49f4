import { readRecoverability } from '../src/repository/catalog.ts';
import type { Recoverability } from '../src/repository/chain.ts';
import { continuityOf } from '../src/repository/continuity.ts';
import { heartbeatName } from '../src/repository/heartbeats.ts';
import { heartbeatFolder } from '../src/repository/layout.ts';
import { writeManifest } from '../src/repository/manifests.ts';
import type { Repository } from '../src/repository/repository.ts';
import { base, EPOCH, heartbeat, logName, SEGMENT_MS } from '../test/unit/repository/recoverability.ts';
import { LoadWatch, type Row, rowOfPairs, timed } from './measure.ts';
import { logKey, putNames, withRepository } from './repository.ts';

const LOGS = 50_000;
const HOLE = 25_000;
const MINUTE_MS = 60_000;
const BASES = 30;
const ON_TOP_SECONDS = 2;
const STANZA = 'shop';

/**
 * What can be recovered of a database with 50,000 archived logs in a real S3, on top of reading what lies there: logs,
 * heartbeats and bases.
 */
export async function benchContinuity(options: {
  pairs: number;
  signal: AbortSignal;
  say: (line: string) => void;
}): Promise<Row> {
  const { pairs, signal, say } = options;
  return withRepository(async (repository) => {
    await fill(repository, signal);
    say(
      `${LOGS.toLocaleString('en-US')} logs, ${BASES} bases and a heartbeat a minute are in the repository`,
    );
    const history = { stanza: STANZA, former: [] };
    const now = new Date(EPOCH + LOGS * SEGMENT_MS);
    const load = new LoadWatch();
    const [all, listings]: [number[], number[]] = [[], []];
    for (let pair = 0; pair < pairs; pair += 1) {
      signal.throwIfAborted();
      let known: Recoverability | undefined;
      const listing = await timed(async () => {
        known = await readRecoverability(repository, STANZA, history, signal);
      });
      const onTop = await timed(async () => check(known as Recoverability, now));
      listings.push(listing);
      all.push(listing + onTop);
      load.look();
      say(`continuity: ${onTop.toFixed(2)} s on top of ${listing.toFixed(1)} s`);
    }
    return rowOfPairs(
      {
        ...{ name: 'continuity', what: `what of ${LOGS.toLocaleString('en-US')} logs is recoverable` },
        ...{ against: 'listing them, heartbeats and bases', atMost: ON_TOP_SECONDS, load: load.highest },
      },
      'seconds',
      all,
      listings,
    );
  });
}

function check(known: Recoverability, now: Date): void {
  const { intervals, gaps } = continuityOf(known, now);
  const seen = [known.segments.length, intervals.length, gaps.length];
  if (seen.join() !== [LOGS - 1, 2, 1].join()) {
    throw new Error(`not what lies there: ${seen.join(', ')} logs, intervals and gaps`);
  }
}

/** One log is missing half way, and no base is within reach of it. */
async function fill(repository: Repository, signal: AbortSignal): Promise<void> {
  const logs = Array.from({ length: LOGS }, (_, n) => n + 1).filter((n) => n !== HOLE);
  const beats = Array.from({ length: Math.floor((LOGS * SEGMENT_MS) / MINUTE_MS) }, (_, n) => n + 1);
  await putNames(
    repository,
    [
      ...logs.map((n) => logKey(STANZA, logName(n))),
      ...beats.map((n) => `${heartbeatFolder(STANZA)}${heartbeatName(heartbeat(n * MINUTE_MS))}`),
    ],
    signal,
  );
  for (let n = 0; n < BASES; n += 1) {
    const start = 1 + Math.floor((n * LOGS) / BASES);
    await writeManifest(repository, base(`base-${n}`, start, start * SEGMENT_MS + 30_000));
  }
}
