import { DATABASE } from '../dev/configuration.ts';
import type { UpResult } from '../dev/stack.ts';
import type { Accident, Measure } from './accident.ts';
import type { City } from './cities.ts';
import type { Application, Written } from './traffic.ts';

/** What the story does to a database and asks of it, by SQL alone: all that differs between engines. */
export interface DemoDatabase {
  /** that lose rows, parents first; the last two by cascade */
  readonly tables: readonly string[];
  /** a table that loses none */
  readonly untouched: string;

  /** Creates a table with these cities, and one that says where each order of the shop goes. */
  load(cities: readonly City[]): Promise<void>;

  /** How many rows tables have, and how large they are, for people. */
  sizes(tables: readonly string[]): Promise<{ table: string; rows: number; size: string }[]>;

  /** Deletes rows in one transaction, and measures them first in the same snapshot. */
  causeAccident(): Promise<Accident>;

  /** The statements of the accident as somebody typed them. */
  statementsOf(cutoff: string): string[];

  /**
   * Counts and checksums of exactly the rows that the accident deletes: nothing of Holdfast takes part in it, so that it
   * can judge what Holdfast brought back.
   */
  measure(cutoff: string): Promise<Measure[]>;

  /** How many of these writes are missing or different. 0: all of them are there as written. */
  missingWrites(written: Written): Promise<number>;

  /** A session of the application's own. */
  application(): Promise<Application>;

  close(): Promise<void>;
}

/** Opens the sample database of an environment. */
export async function openDemoDatabase(up: UpResult, signal: AbortSignal): Promise<DemoDatabase> {
  const url = up.description.databases[DATABASE]?.url as string;
  if (up.shop === 'postgres') return (await import('./postgres.ts')).openPostgres(url);
  return (await import('./mysql.ts')).openMysql(url, signal);
}
