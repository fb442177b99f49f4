import type { DatabaseView } from '../../config/describe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Found, OwnTransaction } from '../../engines/contract/read.ts';
import type { Engine } from '../../engines/engine.ts';
import type { Run } from '../../model/progress.ts';
import type { Recoverability } from '../../repository/chain.ts';
import type { Repository } from '../../repository/repository.ts';

export interface FindQuery {
  table: string;
  since: Date;
  until: Date;
  limit: number;
  minRows: number;
}

/** A search for what took rows from a table, and all that is known before the logs are read. */
export interface Search {
  config: LoadedConfig;
  database: DatabaseView;
  engine: Engine;
  /** stays open while logs are read */
  repository: Repository;
  known: Recoverability;
  own: OwnTransaction[];
  query: FindQuery;
  run: Run;
}

export interface Searched {
  /** the table's full name */
  table: string;
  /** how many logs were read */
  logs: number;
  found: Found;
  /** beside those of `found` */
  notices: string[];
}

/** What every engine is asked, whatever its logs are. */
export function questionOf({ query, own }: Search) {
  const { since, until, limit, minRows } = query;
  return { since: since.toISOString(), until: until.toISOString(), limit, minRows, own };
}
