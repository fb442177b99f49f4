import type { ServerAccess } from '../../model/access.ts';
import type { Check } from '../../model/evidence.ts';
import type { Run } from '../../model/progress.ts';
import { withConnection } from './connection.ts';

interface Both {
  restored: ServerAccess;
  production: ServerAccess | null;
}

/**
 * Text indexes are ordered by the operating system's rules. Where those of the site are of another version
 * than the ones that the indexes were built under, reads by these indexes can miss rows.
 */
export async function checkCollations({ restored }: Both, run: Run): Promise<Check> {
  const differing = await ask<{ name: string; built: string; here: string }>(
    restored,
    run,
    `SELECT collname AS name, collversion AS built, pg_catalog.pg_collation_actual_version(oid) AS here
       FROM pg_catalog.pg_collation
      WHERE collversion IS NOT NULL AND collversion <> pg_catalog.pg_collation_actual_version(oid)
        AND oid IN (SELECT pg_catalog.unnest(indcollation) FROM pg_catalog.pg_index)`,
  );
  if (await knowsDatabaseCollation(restored, run)) {
    differing.push(
      ...(await ask<{ name: string; built: string; here: string }>(
        restored,
        run,
        `SELECT datcollate AS name, datcollversion AS built,
            pg_catalog.pg_database_collation_actual_version(oid) AS here
           FROM pg_catalog.pg_database
          WHERE datname = pg_catalog.current_database()
            AND datcollversion <> pg_catalog.pg_database_collation_actual_version(oid)`,
      )),
    );
  }
  if (differing.length === 0) {
    return { name: 'collations', verdict: 'pass', detail: 'the site sorts text as the indexes expect it' };
  }
  const list = differing.map(({ name, built, here }) => `${name} (${built}, here ${here})`).join(', ');
  return {
    name: 'collations',
    verdict: 'inconclusive',
    detail: `this site has other versions of collations than the indexes were built under: ${list}; reads by an index on text may miss rows here`,
  };
}

/** PostgreSQL 15 is the first to keep the version of a database's own collation. */
async function knowsDatabaseCollation(access: ServerAccess, run: Run): Promise<boolean> {
  const [row] = await ask<{ known: boolean }>(
    access,
    run,
    `SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 150000 AS known`,
  );
  return row?.known === true;
}

interface Extension {
  name: string;
  version: string;
}

/** Extensions of the copy that this site cannot load, or that are of another version in production. */
export async function checkExtensions({ restored, production }: Both, run: Run): Promise<Check> {
  const missing = await ask<Extension>(
    restored,
    run,
    `SELECT e.extname AS name, e.extversion AS version FROM pg_catalog.pg_extension e
      WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_available_extensions a WHERE a.name = e.extname) ORDER BY 1`,
  );
  const here = await installed(restored, run);
  const there = production === null ? here : await installed(production, run);
  const findings = [
    ...missing.map(({ name }) => `${name} is not installed on this site`),
    ...here.flatMap(({ name, version }) => {
      const now = there.find((one) => one.name === name)?.version;
      if (now === version) return [];
      return [`${name} is ${version} in the copy and ${now ?? 'absent'} in production`];
    }),
    ...there
      .filter(({ name }) => !here.some((one) => one.name === name))
      .map(({ name, version }) => `${name} is absent in the copy and ${version} in production`),
  ];
  return findings.length === 0
    ? { name: 'extensions', verdict: 'pass', detail: `${here.length} extensions, all present` }
    : { name: 'extensions', verdict: 'inconclusive', detail: findings.join('; ') };
}

function installed(access: ServerAccess, run: Run): Promise<Extension[]> {
  return ask<Extension>(
    access,
    run,
    'SELECT extname AS name, extversion AS version FROM pg_catalog.pg_extension ORDER BY 1',
  );
}

function ask<T extends object>(access: ServerAccess, run: Run, text: string): Promise<T[]> {
  const options = { signal: run.signal, applicationName: 'check', readOnly: true };
  return withConnection(access, options, async (client) => (await client.query<T>(text)).rows);
}
