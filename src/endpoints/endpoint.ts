import type { Run } from '../model/progress.ts';
import type { Address } from '../model/topology.ts';

/** One way in which applications find a database. Plain code without Temporal; it throws EndpointFailed. */
export interface Endpoint {
  /** for people, without anything secret: `pgbouncer /etc/pgbouncer/pgbouncer.ini [shop]` */
  readonly name: string;
  /** What is set now, as applications see it; null: nothing is. Reads only. */
  read(run: Run): Promise<Address | null>;
  /** Sets it, makes applications see it, and proves that by reading it back. Set already is success. */
  write(address: Address, run: Run): Promise<void>;
}
