import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../../../src/model/backup.ts';
import type { Repository } from '../../../../src/repository/repository.ts';
import {
  joined,
  type LogRun,
  newestLineage,
  provenUntil,
  runsOf,
  stretchFrom,
  thinned,
} from '../../../../src/repository/shipped/chain.ts';
import { gapsOf } from '../../../../src/repository/shipped/continuity.ts';
import {
  addShipped,
  type KnownLogs,
  type LeftLogs,
  leave,
  listKnown,
} from '../../../../src/repository/shipped/listing.ts';
import { lineageOf, type ShippedLog } from '../../../../src/repository/shipped/name.ts';
import { asManifests, asShipped, histories } from './history.ts';
import { dump, OTHER, SERVER, shipped, tenSeconds } from './shop.ts';

const NOW = new Date('2026-01-31T12:00:00Z');
const TIME = '2026-01-31T00:00:00.000Z';

/** A bucket of these keys, without a manifest, and what was asked of it; rounds that each begin where one has left off. */
function watched() {
  const keys = new Set<string>();
  const asked: string[] = [];
  let left: LeftLogs | null = null;
  const repository = {
    async *list(prefix: string, _?: AbortSignal, after?: string) {
      asked.push(after ?? prefix);
      const found = [...keys].filter((key) => key.startsWith(prefix) && key > (after ?? ''));
      for (const key of found.sort()) yield { key, lastModified: TIME };
    },
    async *versions() {},
  } as unknown as Repository;
  return {
    asked,
    put: (logs: readonly ShippedLog[]) => {
      for (const { key } of logs) keys.add(key);
    },
    remove: ({ key }: ShippedLog) => keys.delete(key),
    async round(minutes = 0, ships: readonly ShippedLog[] = []): Promise<KnownLogs> {
      asked.length = 0;
      const now = new Date(NOW.getTime() + minutes * 60_000);
      const known = await listKnown(repository, 'shop', { left, now });
      for (const log of ships) {
        keys.add(log.key);
        addShipped(known, { log, begunAt: log.createdAt });
      }
      // As it travels.
      left = JSON.parse(JSON.stringify(leave(known)));
      return known;
    },
  };
}

/** `1-3 5`: what is there, by the runs of all lineages */
const runsIn = ({ runs }: KnownLogs) =>
  runs
    .map(({ logs }) => [logs[0]?.number, logs.at(-1)?.number])
    .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
    .join(' ');

describe('what a round lists', () => {
  test('is everything once, and then in two requests what has come, also of a server that counts anew', async () => {
    const { put, asked, round } = watched();
    put(tenSeconds([1, 2, 3]));
    expect(runsIn(await round())).toBe('1-3');
    put(tenSeconds([4, 5]));
    expect(runsIn(await round())).toBe('1-5');
    expect(asked).toEqual(['manifest/shop/', expect.stringMatching(/^log\/shop\/.*\.1\/binlog\.000003\/~$/)]);
    put(tenSeconds([1], lineageOf(SERVER, 2)));
    expect(runsIn(await round())).toBe('1-5 1');
    expect(asked).toHaveLength(2);
  });

  test('is everything again after ten minutes: what was removed, and what another server wrote', async () => {
    const { put, remove, round } = watched();
    const logs = tenSeconds([1, 2, 3, 4]);
    put(logs);
    await round();
    remove(logs[1] as ShippedLog);
    put(tenSeconds([7], lineageOf(OTHER, 1)));
    expect(runsIn(await round(10))).toBe('1-4');
    expect((await round(11)).runs).toHaveLength(3);
  });

  test('has what was shipped in the round itself, be it in the middle', async () => {
    const { put, round } = watched();
    put(tenSeconds([1, 4]));
    expect(runsIn(await round(0, tenSeconds([2])))).toBe('1-2 4');
    const known = await round(0, tenSeconds([3]));
    expect(runsIn(known)).toBe('1-4');
    expect(known.begun?.key).toBe(tenSeconds([3])[0]?.key);
    expect(runsIn(await round())).toBe('1-4');
  });

  test('misses nothing around the seventh digit, where names are in another order than numbers', async () => {
    const { put, round } = watched();
    put([shipped(999_990, 999_990, 999_991)]);
    for (let number = 999_991; number < 1_000_120; number += 1) {
      put([shipped(number, number, number + 1)]);
      expect(runsIn(await round())).toBe(`999990-${number}`);
    }
  });

  test('is everything where an earlier version has left less, or a history is torn often', async () => {
    const { put, asked, round } = watched();
    put(tenSeconds(Array.from({ length: 40 }, (_, at) => 2 * at)));
    expect((await round()).runs).toHaveLength(40);
    expect((await round()).runs).toHaveLength(40);
    expect(asked).toEqual(['manifest/shop/', 'log/shop/']);
  });
});

test('what travels is small, however many logs there are', async () => {
  const left = (logs: readonly ShippedLog[]) => {
    const bases = [5, 4, 3, 2, 1].map((at) => dump(`b${at}`, at * 1_000, at * 100));
    const slim = bases.map(({ id, systemIdentifier, finishedAt, positions: { startLog, at } }) => ({
      ...{ id, systemIdentifier, finishedAt, positions: { startLog, ...(at && { at }) } },
    }));
    return leave({ readAt: TIME, manifestsAt: TIME, bases: slim, begun: null, runs: runsOf(logs) });
  };
  const many = left(tenSeconds(Array.from({ length: 30_000 }, (_, at) => at)));
  expect(JSON.stringify(many).length).toBeLessThan(2_500);
  const torn = left(tenSeconds(Array.from({ length: 32 }, (_, at) => at + Math.floor(at / 2))));
  expect(JSON.stringify(torn).length).toBeLessThan(7_000);
});

test('what is left of a history says the same of it as all of it, however it came, and goes on the same', () => {
  fc.assert(
    fc.property(histories, fc.infiniteStream(fc.nat(99)), (history, order) => {
      const bases = asManifests(history);
      const logs = asShipped(history);
      const asCame = logs
        .map((log) => ({ log, at: order.next().value as number }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ log }) => log);
      let runs: LogRun[] = [];
      for (const log of asCame) {
        runs = joined([...runs.map((run) => thinned(run, bases)), [log]]);
      }
      expect(said(runs, bases)).toEqual(said(runsOf(logs), bases));
    }),
    { numRuns: 2_000 },
  );
});

/** All that a round makes of what it knows. */
function said(runs: readonly LogRun[], bases: readonly Manifest[]) {
  const stretches = bases.map((base) => stretchFrom(base, runs));
  return {
    written: newestLineage(runs),
    ends: runs.map(({ logs }) => [logs[0]?.key, logs.at(-1)?.key]).sort(),
    stretches: stretches.map(({ logs, ...stretch }) => [
      ...[stretch, logs[0]?.key, logs.at(-1)?.key],
      provenUntil({ logs, ...stretch }),
    ]),
    gaps: gapsOf(runs, stretches)
      .map((gap) => JSON.stringify(gap))
      .sort(),
  };
}
