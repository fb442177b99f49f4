import type pg from 'pg';
import type { Examined } from '../../contract/examine.ts';
import { AMCHECK_INSTALLED, AMCHECK_OPEN } from '../amcheck-sql.ts';

/**
 * By what the pages and indexes of a restored copy can be checked: amcheck comes from production, since a copy that is
 * paused in recovery refuses CREATE EXTENSION; without it the pages' checksums are left.
 */
export async function examinePages(client: pg.ClientBase): Promise<Examined> {
  const { rows } = await client.query<{ installed: boolean; open: boolean; checksums: boolean; db: string }>(
    `SELECT ${AMCHECK_INSTALLED} AS installed, ${AMCHECK_OPEN} AS open,
       pg_catalog.current_setting('data_checksums') = 'on' AS checksums,
       pg_catalog.current_database() AS db`,
  );
  const { installed = false, open = false, checksums = false, db = '' } = rows[0] ?? {};
  const what = 'checks of copies';
  if (installed && open)
    return { what, ok: true, detail: `amcheck in ${db} checks tables and indexes`, hint: null };
  const why = installed
    ? 'the user may not execute the functions of amcheck'
    : `amcheck is not installed in ${db}`;
  if (checksums) {
    return { what, ok: true, detail: `${why}: page checksums are checked, indexes are not`, hint: null };
  }
  return {
    what,
    ok: false,
    detail: `${why}, and page checksums are off: nothing can be said of a copy's pages`,
    hint: installed
      ? 'GRANT EXECUTE ON FUNCTION bt_index_check(regclass, boolean), verify_heapam(regclass, boolean, boolean, text, bigint, bigint) TO the user of the connection'
      : `CREATE EXTENSION amcheck; in ${db}, or pg_checksums --enable on the stopped server`,
  };
}
