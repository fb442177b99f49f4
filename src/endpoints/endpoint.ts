import type { Run } from '../model/progress.ts';
import type { Address } from '../model/topology.ts';

/** What opens one does not name it. */
export type Unnamed = Omit<Endpoint, 'name'>;

/** One way in which applications find a database. Plain code without Temporal; it throws EndpointFailed. */
export interface Endpoint {
  /** for people, without anything secret: `pgbouncer /etc/pgbouncer/pgbouncer.ini [shop]` */
  readonly name: string;
  /** a pooler: where a session goes through it; null: there is nothing to connect through */
  readonly pooler: (Address & { database: string }) | null;
  /** What is set now, as applications see it; null: nothing is. Reads only. */
  read(run: Run): Promise<Address | null>;
  /** Sets it, makes applications see it, and proves that by reading it back. Set already is success. */
  write(address: Address, run: Run): Promise<void>;
}
