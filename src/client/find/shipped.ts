import { HoldfastError } from '../../model/failure.ts';
import type { Search, Searched } from './search.ts';

/** Searches logs that were shipped into the repository: they name tables themselves. */
export async function searchShipped({ database }: Search): Promise<Searched> {
  throw new HoldfastError('NotSupported', `the logs of ${database.name} cannot be searched yet`);
}
