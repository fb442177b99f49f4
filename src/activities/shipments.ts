import type { LogReport } from '../engines/contract/backup.ts';
import type { Run } from '../model/progress.ts';
import type { ShippedLog } from '../repository/shipped/name.ts';

/** Logs of one database on their way into the repository: a round does not wait for one of many GB, the next finds it here. */
export interface Shipment {
  /** the log that is on its way */
  log: string | null;
  /** in the repository since it began */
  shipped: { log: ShippedLog; begunAt: string }[];
  /** also that of the shipment before, until this one has ended better */
  failure: LogReport['failure'];
  isOver: boolean;
  /** never rejects */
  ended: Promise<void>;
  end(reason: unknown): void;
}

/** The last of each database in this process: no log is shipped twice at once. A killed worker's begin again elsewhere. */
const shipments = new Map<string, Shipment>();

export const shipmentOf = (key: string): Shipment | undefined => shipments.get(key);

/**
 * Begins one, unless one is under way, which is given then. `ship` notes down in it what it does, and rejects only where
 * its signal aborts.
 */
export function beginShipment(
  key: string,
  ship: (shipment: Shipment, signal: AbortSignal) => Promise<void>,
): Shipment {
  const before = shipments.get(key);
  if (before?.isOver === false) return before;
  const stop = new AbortController();
  const shipment: Shipment = {
    ...{ log: null, shipped: [], failure: before?.failure ?? null, isOver: false },
    ended: Promise.resolve(),
    end: (reason) => stop.abort(reason),
  };
  shipments.set(key, shipment);
  shipment.ended = inTurn(async () => {
    // It may have been told to end while it waited.
    stop.signal.throwIfAborted();
    await ship(shipment, stop.signal);
  })
    .catch(() => {})
    .finally(() => {
      shipment.isOver = true;
    });
  return shipment;
}

/** Waits for its end, but for so long only. Throws the reason of the run's signal. */
export async function awaitShipment({ ended }: Shipment, patienceMs: number, { signal }: Run): Promise<void> {
  signal.throwIfAborted();
  const waited = new AbortController();
  const isOver = AbortSignal.any([signal, waited.signal, AbortSignal.timeout(patienceMs)]);
  const over = new Promise<void>((resolve) =>
    isOver.addEventListener('abort', () => resolve(), { once: true }),
  );
  await Promise.race([ended, over]);
  waited.abort();
  signal.throwIfAborted();
}

/** Ends those of these keys, all where none are given, and waits until nothing of them is left. */
export async function endShipments(
  reason: unknown,
  keys: Iterable<string> = shipments.keys(),
): Promise<void> {
  const ending = [...keys].flatMap((key) => shipments.get(key) ?? []);
  for (const shipment of ending) shipment.end(reason);
  await Promise.all(ending.map(({ ended }) => ended));
}

/** Each of them holds parts of a large log in memory. */
const AT_ONCE = 16;
let underWay = 0;
const next: (() => void)[] = [];

async function inTurn(work: () => Promise<void>): Promise<void> {
  if (underWay < AT_ONCE) underWay += 1;
  else await new Promise<void>((resolve) => next.push(resolve));
  try {
    await work();
  } finally {
    const begin = next.shift();
    if (begin === undefined) underWay -= 1;
    else begin();
  }
}
