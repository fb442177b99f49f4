import type { DatabaseView } from '../../config/describe.ts';
import { mysqlWords } from './mysql-words.ts';
import { postgresWords } from './postgres-words.ts';

/** What the documents say otherwise of one engine than of another. */
export interface EngineWords {
  /** how a table is named, and one as an example */
  table: { form: string; example: string };
  /** rows of the table of names and places */
  places(database: DatabaseView): string[][];
  /** what `find` needs on the machine where it runs */
  findNeeds: string;
  /** a target as `find` gives it: the option, the variable that holds it, one as an example, and as workflows take it */
  target: { option: string; variable: string; example: string; input: object };
  /** what stands for the target in `find`: `a place in the log` */
  targetIs: string;
  /** steps of recoveries, as sentences */
  steps: { restore: string; replay: string; check: string; restoreTables: string };
  /** what a dropped table gets back */
  recreated: string;
  /** what a site needs for a restore of tables */
  siteNeeds: string;
  /** with what the plain commands restore, and what else one needs for it */
  breakGlass: { tools: string; needs: string; restores: string };
  /** the tiers whose RESTORE.md is fetched, with an id as an example */
  backups: readonly { tier: 'physical' | 'logical'; id: string }[];
}

export function wordsOf({ config }: DatabaseView): EngineWords {
  return config.engine === 'mysql' ? mysqlWords : postgresWords;
}
