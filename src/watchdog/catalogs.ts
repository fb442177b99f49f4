import type { DatabaseView } from '../config/describe.ts';
import { describeDatabase } from '../config/describe.ts';
import type { Config } from '../config/schema.ts';
import type { Catalog } from '../model/backup.ts';
import { mapBounded } from '../repository/bounded.ts';

/** What the repository holds of a database, or why that could not be read. */
export type Looked = { catalog: Catalog; unread: null } | { catalog: null; unread: string };

/** Catalogs read at once: enough to be quick, few enough for one S3. */
const AT_ONCE = 8;

/** Of every database of the configuration, in its order. */
export async function readCatalogs(
  config: Config,
  read: (database: DatabaseView) => Promise<Catalog>,
): Promise<Map<string, Looked>> {
  const names = Object.keys(config.databases);
  const looked = await mapBounded(names, AT_ONCE, async (name): Promise<[string, Looked]> => {
    try {
      return [name, { catalog: await read(describeDatabase(config, name)), unread: null }];
    } catch (error) {
      return [name, { catalog: null, unread: error instanceof Error ? error.message : String(error) }];
    }
  });
  return new Map(looked);
}
