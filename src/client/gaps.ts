import type { DatabaseView } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { LogGap } from '../model/backup.ts';
import { HoldfastError } from '../model/failure.ts';
import { gapName } from '../model/gap.ts';
import { mapBounded } from '../repository/bounded.ts';
import { readCatalogOf } from './recoverable.ts';

export interface GapsOfDatabase {
  database: string;
  gaps: LogGap[];
}

const AT_ONCE = 8;
/** A person waits. */
const PATIENCE_MS = 10_000;

export function readGaps(
  config: LoadedConfig,
  databases: readonly DatabaseView[],
): Promise<GapsOfDatabase[]> {
  return mapBounded(databases, AT_ONCE, async (database) => {
    const { gaps } = await readCatalogOf(config, database);
    return { database: database.name, gaps };
  });
}

/** The gap that is named, or every one that nobody knows of. Throws InvalidInput with those that there are. */
export function chooseGaps(database: string, gaps: readonly LogGap[], name: string | undefined): LogGap[] {
  const chosen =
    name === undefined
      ? gaps.filter(({ acknowledged }) => acknowledged === undefined)
      : gaps.filter((gap) => gapName(gap).toUpperCase() === name.toUpperCase());
  if (chosen.length > 0) return chosen;
  const what = name === undefined ? 'no gap that nobody has acknowledged' : `no gap ${name}`;
  const names = gaps.map(gapName).join(', ');
  throw new HoldfastError('InvalidInput', `${database} has ${what}`, {
    hint: gaps.length === 0 ? 'it has none at all' : `its gaps are ${names}`,
  });
}

export async function acknowledgeGaps(
  { config, directory }: LoadedConfig,
  database: string,
  gaps: readonly LogGap[],
  acknowledged: NonNullable<LogGap['acknowledged']>,
): Promise<void> {
  const { openRepository } = await import('../repository/repository.ts');
  const { writeAcknowledgement } = await import('../repository/acknowledgements.ts');
  const repository = await openRepository(config.repository, {
    use: 'backup',
    baseDirectory: directory,
    patienceMs: PATIENCE_MS,
  });
  try {
    for (const { timeline, firstMissing, lastMissing, count } of gaps) {
      await writeAcknowledgement(repository, {
        ...{ formatVersion: 1, database, timeline, firstMissing, lastMissing, count },
        ...acknowledged,
      });
    }
  } finally {
    repository.close();
  }
}
