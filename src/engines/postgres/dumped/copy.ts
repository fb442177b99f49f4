import type pg from 'pg';
import type { ServerAccess } from '../../../model/access.ts';
import type { Run } from '../../../model/progress.ts';
import type { RestoreTablesInput } from '../../contract/restore.ts';
import { withConnection } from '../connection.ts';
import { listTables } from '../fingerprint.ts';
import { instanceAccess } from '../place.ts';
import type { Owned } from './contents.ts';
import { neededFor } from './needed.ts';

/** A db beside the one that is made anew. */
export const admin = ({ place, user, database }: RestoreTablesInput): ServerAccess =>
  instanceAccess(place, { user, database: database === 'template1' ? 'postgres' : 'template1' });

export function ask<T>(access: ServerAccess, run: Run, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withConnection(access, { signal: run.signal, applicationName: 'restore' }, work);
}

export type Named = Pick<Owned, 'schema' | 'name'>;

/** The tables that have rows in the copy: those of `named` with all that belongs to them, or all of the db. */
export async function tablesWithRows(client: pg.Client, named: string[] | null): Promise<Named[]> {
  if (named !== null) return (await neededFor(client, named)).tables;
  return (await listTables(client)).filter(({ partitioned }) => !partitioned);
}
