import { afterEach, describe, expect, test } from 'vitest';
import {
  awaitShipment,
  beginShipment,
  endShipments,
  type Shipment,
  shipmentOf,
} from '../../../src/activities/shipments.ts';
import type { Run } from '../../../src/model/progress.ts';

const over = new Error('over');
const run: Run = { signal: new AbortController().signal, progress: () => {} };
const failure = { at: '2026-01-31T00:00:00Z', log: 'binlog.000001', message: 'no room' };
afterEach(() => endShipments(over));

/** One that goes on until it is told to end. */
const endless = (shipment: Shipment, signal: AbortSignal) =>
  new Promise<void>((_, reject) => {
    shipment.log = 'binlog.000001';
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

describe('logs on their way', () => {
  test('are not begun again while they are, and a round waits for so long only', async () => {
    const one = beginShipment('a', endless);
    await awaitShipment(one, 1, run);
    expect(one).toMatchObject({ isOver: false, log: 'binlog.000001' });
    expect(beginShipment('a', endless)).toBe(one);
    expect(beginShipment('b', endless)).not.toBe(one);
    await endShipments(over, ['a']);
    expect([one.isOver, shipmentOf('b')?.isOver]).toEqual([true, false]);
    expect(beginShipment('a', endless)).not.toBe(one);
  });

  test('keep what failed until it is done better, also where they are ended', async () => {
    const fails = async (shipment: Shipment) => {
      shipment.failure = failure;
    };
    await awaitShipment(beginShipment('a', fails), 60_000, run);
    const again = beginShipment('a', endless);
    expect(again.failure).toEqual(failure);
    await endShipments(over);
    expect(again).toMatchObject({ isOver: true, failure });
    const better = beginShipment('a', async (shipment) => {
      shipment.failure = null;
    });
    await awaitShipment(better, 60_000, run);
    expect(better).toMatchObject({ isOver: true, failure: null });
  });

  test('are waited for no longer than the round goes on', async () => {
    const stop = new AbortController();
    const waiting = awaitShipment(beginShipment('a', endless), 60_000, { ...run, signal: stop.signal });
    stop.abort(over);
    await expect(waiting).rejects.toBe(over);
  });

  test('are so many at once, and the others take their turn in order', async () => {
    const begun: number[] = [];
    const all = Array.from({ length: 18 }, (_, at) =>
      beginShipment(`${at}`, (shipment, signal) => {
        begun.push(at);
        return endless(shipment, signal);
      }),
    );
    expect(begun).toHaveLength(16);
    await endShipments(over, ['3']);
    expect(begun.slice(16)).toEqual([16]);
    await endShipments(over);
    expect(all.every(({ isOver }) => isOver)).toBe(true);
  });
});
