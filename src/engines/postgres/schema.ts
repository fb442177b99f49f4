import { createHash } from 'node:crypto';
import type pg from 'pg';

/**
 * The schema of a db as sorted lines `kind | name | definition`, equal before a dump and after its restore, and
 * on a replayed copy. Read from the catalogs in the caller's snapshot. Owners and grants are not in it: whether
 * they come back depends on the globals. Source of every definition: PostgreSQL's own `pg_get_…` functions.
 */
export async function canonicalSchema(client: pg.ClientBase): Promise<{ text: string; sha256: string }> {
  const lines: string[] = [];
  for (const query of QUERIES) {
    const { rows } = await client.query<{ kind: string; name: string; definition: string | null }>(query);
    for (const { kind, name, definition } of rows) {
      lines.push(`${kind} | ${name} | ${canonicalExpression(definition ?? '')}`);
    }
  }
  const text = `${lines.sort().join('\n')}\n`;
  return { text, sha256: createHash('sha256').update(text).digest('hex') };
}

const CAST =
  /::(?:"[^"]*"|\w+)(?:\.(?:"[^"]*"|\w+))?(?: (?:varying|precision))?(?:\(\d+(?:,\s*\d+)?\))?(?: with(?:out)? time zone)?(?:\[\])*/g;

/**
 * Casts, brackets and spacing of an expression change on the first restore: PostgreSQL writes
 * `(ARRAY['a'::varchar])::text[]` back as `ARRAY[('a'::varchar)::text]`. Without them both are the same.
 */
export function canonicalExpression(text: string): string {
  return text
    .replace(CAST, '')
    .replace(/[()\s]+/g, ' ')
    .replace(/ ?([,;[\]]) ?/g, '$1')
    .trim();
}

const OWN = (schema: string) => `${schema} <> 'information_schema' AND ${schema} !~ '^pg_'`;
const NOT_OF_EXTENSION = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.${catalog}'::regclass
     AND e.objid = ${oid} AND e.deptype = 'e')`;

const QUERIES = [
  `SELECT 'schema' AS kind, quote_ident(nspname) AS name, '' AS definition
     FROM pg_catalog.pg_namespace n WHERE ${OWN('nspname')} AND ${NOT_OF_EXTENSION('pg_namespace', 'n.oid')}`,
  `SELECT 'extension' AS kind, quote_ident(extname) AS name, extversion AS definition FROM pg_catalog.pg_extension`,
  `SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
       WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'composite type' END AS kind,
     c.oid::regclass::text AS name,
     concat_ws(' ', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
       CASE WHEN c.relkind = 'p' THEN 'partition by ' || pg_get_partkeydef(c.oid) END,
       pg_get_expr(c.relpartbound, c.oid),
       (SELECT 'inherits ' || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
          FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
       CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,
       'identity ' || c.relreplident::text,
       (SELECT 'with ' || string_agg(o, ', ' ORDER BY o) FROM unnest(c.reloptions) o)) AS definition
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' AND ${OWN('n.nspname')}
      AND ${NOT_OF_EXTENSION('pg_class', 'c.oid')}`,
  `SELECT 'column' AS kind, a.attrelid::regclass::text || '.' || quote_ident(a.attname) AS name,
     concat_ws(' ', row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
       replace(replace(format_type(a.atttypid, a.atttypmod), '(', '['), ')', ']'),
       CASE WHEN a.attnotnull THEN 'not null' END,
       CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END,
       CASE WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END,
       CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END,
       'default ' || pg_get_expr(d.adbin, d.adrelid)) AS definition
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' AND ${OWN('n.nspname')}
      AND a.attnum > 0 AND NOT a.attisdropped AND ${NOT_OF_EXTENSION('pg_class', 'c.oid')}`,
  `SELECT 'constraint' AS kind, concat_ws('.', coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text),
       quote_ident(conname)) AS name, pg_get_constraintdef(o.oid) AS definition
     FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace n ON n.oid = o.connamespace
    WHERE ${OWN('n.nspname')} AND contype NOT IN ('n', 't')
      AND ${NOT_OF_EXTENSION('pg_class', 'o.conrelid')} AND ${NOT_OF_EXTENSION('pg_type', 'o.contypid')}`,
  `SELECT 'index' AS kind, i.indexrelid::regclass::text AS name,
     concat_ws(' ', pg_get_indexdef(i.indexrelid), CASE WHEN i.indisreplident THEN 'replica identity' END,
       CASE WHEN NOT i.indisvalid THEN 'invalid' END, CASE WHEN i.indisclustered THEN 'clustered' END) AS definition
     FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OWN('n.nspname')} AND c.relpersistence <> 't' AND ${NOT_OF_EXTENSION('pg_class', 'c.oid')}`,
  `SELECT 'sequence' AS kind, s.seqrelid::regclass::text AS name,
     concat_ws(' ', format_type(s.seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcache,
       CASE WHEN seqcycle THEN 'cycle' END,
       (SELECT 'owned by ' || d.refobjid::regclass || '.' || a.attname FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
           AND d.refclassid = 'pg_catalog.pg_class'::regclass LIMIT 1)) AS definition
     FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OWN('n.nspname')} AND c.relpersistence <> 't' AND ${NOT_OF_EXTENSION('pg_class', 'c.oid')}`,
  `SELECT CASE p.prokind WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
     p.oid::regprocedure::text AS name,
     CASE WHEN p.prokind = 'a' THEN format_type(p.prorettype, NULL)
          ELSE regexp_replace(pg_get_functiondef(p.oid), '\\s+', ' ', 'g') END AS definition
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE ${OWN('n.nspname')} AND ${NOT_OF_EXTENSION('pg_proc', 'p.oid')}
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
            AND d.objid = p.oid AND d.deptype = 'i')`,
  `SELECT 'trigger' AS kind, tgrelid::regclass::text || '.' || quote_ident(tgname) AS name,
     pg_get_triggerdef(g.oid) || ' ' || tgenabled::text AS definition
     FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT tgisinternal AND tgparentid = 0 AND ${OWN('n.nspname')} AND c.relpersistence <> 't'`,
  `SELECT 'rule' AS kind, ev_class::regclass::text || '.' || quote_ident(rulename) AS name,
     pg_get_ruledef(r.oid) AS definition
     FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE rulename <> '_RETURN' AND ${OWN('n.nspname')}`,
  `SELECT 'policy' AS kind, polrelid::regclass::text || '.' || quote_ident(polname) AS name,
     concat_ws(' ', polcmd, polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) AS definition
     FROM pg_catalog.pg_policy`,
  `SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' ELSE 'range' END AS kind, t.oid::regtype::text AS name,
     CASE t.typtype
       WHEN 'e' THEN (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                        FROM pg_catalog.pg_enum WHERE enumtypid = t.oid)
       WHEN 'd' THEN concat_ws(' ', replace(replace(format_type(t.typbasetype, t.typtypmod), '(', '['), ')', ']'),
              CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault)
       ELSE (SELECT format_type(rngsubtype, NULL) FROM pg_catalog.pg_range WHERE rngtypid = t.oid) END AS definition
     FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd', 'r') AND ${OWN('n.nspname')} AND ${NOT_OF_EXTENSION('pg_type', 't.oid')}`,
  `SELECT 'statistics' AS kind, quote_ident(n.nspname) || '.' || quote_ident(stxname) AS name,
     pg_get_statisticsobjdef(s.oid) AS definition
     FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace`,
  `SELECT 'event trigger' AS kind, quote_ident(evtname) AS name,
     concat_ws(' ', evtevent, evtfoid::regprocedure, evtenabled, array_to_string(evttags, ',')) AS definition
     FROM pg_catalog.pg_event_trigger v WHERE ${NOT_OF_EXTENSION('pg_event_trigger', 'v.oid')}`,
  `SELECT 'publication' AS kind, quote_ident(p.pubname) AS name,
     concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
       (SELECT string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid::regclass::text COLLATE "C")
          FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid)) AS definition
     FROM pg_catalog.pg_publication p`,
  `SELECT 'collation' AS kind, quote_ident(n.nspname) || '.' || quote_ident(collname) AS name,
     concat_ws(' ', collprovider, collisdeterministic, collcollate, collctype) AS definition
     FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE ${OWN('n.nspname')}`,
];
