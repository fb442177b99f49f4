import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 120;

/** What the application has written and was told is committed. */
export interface Written {
  orders: number[];
  /** last known population by city id */
  populations: Map<number, number>;
}

/** How an application uses the shop, in the words of its database. */
export interface Application {
  /** cities of a country that no accident befalls */
  cities(): Promise<number[]>;
  /** In one transaction: an order with two items and a delivery, and a changed city. */
  placeOrder(turn: number, city: number): Promise<{ order: number; population: number }>;
  close(): Promise<void>;
}

/** An application that goes on writing whatever happens. */
export class Traffic {
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #application: Application;
  readonly written: Written = { orders: [], populations: new Map() };

  constructor(application: Application) {
    this.#application = application;
    this.#done = this.#run().finally(() => application.close());
    // Its failure is told at the end, to whoever waits for it.
    this.#done.catch(() => undefined);
  }

  /** Stops after the order at hand. Throws where the application could not go on. */
  async end(): Promise<Written> {
    this.#stop.abort();
    await this.#done;
    return this.written;
  }

  async #run(): Promise<void> {
    const cities = await this.#application.cities();
    for (let turn = 0; !this.#stop.signal.aborted; turn += 1) {
      const city = cities[turn % cities.length] as number;
      const { order, population } = await this.#application.placeOrder(turn, city);
      this.written.orders.push(order);
      this.written.populations.set(city, population);
      await sleep(PAUSE_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
