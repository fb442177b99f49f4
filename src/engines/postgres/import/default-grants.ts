import type pg from 'pg';

/**
 * Whom what this user makes in these schemas is granted to from the start (ALTER DEFAULT PRIVILEGES): roles as SQL
 * writes them, and PUBLIC. A copy of a table must not be open to those to whom the table was not.
 */
export async function grantedByDefault(client: pg.Client, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ role: string }>(
    `SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END AS role
     FROM pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) a
     LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
     WHERE d.defaclobjtype IN ('r', 'S') AND d.defaclrole = a.grantor AND a.grantee <> a.grantor
       AND d.defaclrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
       AND (d.defaclnamespace = 0 OR d.defaclnamespace IN (
         SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1)))`,
    [schemas],
  );
  return rows.map(({ role }) => role);
}
