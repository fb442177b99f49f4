import { flavourOf } from './flavour.ts';
import { type DumpPrograms, dumpPrograms } from './programs.ts';

/** The first MySQL that MariaDB's client programs do not serve. */
const OWN_ONLY = 804;

/**
 * The programs that dump a server of this series: of its own flavour where there are any, also newer ones that cannot ask
 * it for its position. That is not asked for, and MariaDB's write what MySQL does not load (see dump.ts). Throws ToolMissing.
 */
export async function programsForDump(series: number): Promise<DumpPrograms> {
  const found = await dumpPrograms(series);
  if (found.flavour === flavourOf(series)) return found;
  return dumpPrograms(OWN_ONLY).catch(() => found);
}
