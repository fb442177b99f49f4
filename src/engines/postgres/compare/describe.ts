import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { formatNameParts, parseNameParts } from '../../../model/table.ts';
import { quoteQualified } from '../identifier.ts';
import type { Column, ForeignKey, Reference, Relation } from './relation.ts';
import { IS_USER_TRIGGER } from './triggers.ts';

interface RelationRow
  extends Omit<
    Relation,
    'source' | 'qualified' | 'partitioned' | 'foreignKeys' | 'referencedBy' | 'parents'
  > {
  kind: string;
  parents: [string, string][];
  referencedBy: (Omit<Reference, 'table' | 'source'> & {
    childSchema: string;
    childName: string;
    childPartitioned: boolean;
  })[];
  foreignKeys: (Omit<ForeignKey, 'parentSource' | 'parent'> & {
    parentSchema: string;
    parentName: string;
    parentPartitioned: boolean;
  })[];
}

/** The same, or null where there is no such table. */
export async function describeIfThere(client: pg.Client, table: string): Promise<Relation | null> {
  return describeRelation(client, table).catch((error: unknown) => {
    if (error instanceof HoldfastError && error.type === 'UnknownTable') return null;
    throw error;
  });
}

/**
 * Reads a table's description from the catalogs of one server; the session's search path has to be empty, so
 * that types and expressions come out qualified. Throws UnknownTable, and NotSupported for what is no table.
 */
export async function describeRelation(client: pg.Client, table: string): Promise<Relation> {
  const [schema, name] = parseNameParts(table).slice(-2);
  const { rows } = await client.query<{ relation: RelationRow }>(RELATION_SQL, [schema, name]);
  const found = rows[0]?.relation;
  if (found === undefined) {
    throw new HoldfastError('UnknownTable', `there is no table ${table}`, {
      hint: 'name it as schema.table, exactly as the catalog spells it',
    });
  }
  if (found.kind !== 'r' && found.kind !== 'p') {
    throw new HoldfastError('NotSupported', `${table} is no ordinary or partitioned table`, {
      hint: 'name the tables that a view reads; foreign tables are recovered where they live',
    });
  }
  const foreign = found.leaves.find((leaf) => leaf.foreign);
  if (foreign !== undefined) {
    throw new HoldfastError('NotSupported', `${table} has a partition on another server, ${foreign.name}`, {
      hint: 'name its other partitions instead of it; foreign tables are recovered where they live',
    });
  }
  const qualified = quoteQualified([found.schema, found.name]);
  const partitioned = found.kind === 'p';
  return {
    ...found,
    partitioned,
    qualified,
    parents: found.parents.map(formatNameParts),
    source: partitioned ? qualified : `ONLY ${qualified}`,
    referencedBy: found.referencedBy.map(({ childSchema, childName, childPartitioned, ...key }) => ({
      ...key,
      table: formatNameParts([childSchema, childName]),
      source: `${childPartitioned ? '' : 'ONLY '}${quoteQualified([childSchema, childName])}`,
    })),
    foreignKeys: found.foreignKeys.map(({ parentSchema, parentName, parentPartitioned, ...key }) => ({
      ...key,
      parent: formatNameParts([parentSchema, parentName]),
      parentSource: `${parentPartitioned ? '' : 'ONLY '}${quoteQualified([parentSchema, parentName])}`,
    })),
  };
}

export function columnOf(relation: Relation, name: string): Column | undefined {
  return relation.columns.find((column) => column.name === name);
}

const OPERATOR = `(SELECT 'OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')'
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = `;

const COLUMNS = `(SELECT coalesce(json_agg(json_build_object(
    'name', a.attname,
    'type', format_type(a.atttypid, -1),
    'fullType', format_type(a.atttypid, a.atttypmod),
    'baseType', b.typname,
    'typeOid', a.atttypid::bigint,
    'isEnum', b.typtype = 'e',
    'byteOrder', coalesce(CASE WHEN l.collprovider = 'd' THEN (SELECT e.datcollate IN ('C', 'POSIX')
        AND coalesce(to_jsonb(e) ->> 'datlocprovider', 'c') = 'c'
        FROM pg_database e WHERE e.datname = current_database())
      ELSE l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX') END, false),
    'deterministic', coalesce(l.collisdeterministic, true),
    'notNull', a.attnotnull,
    'generated', a.attgenerated <> '',
    'generation', CASE WHEN a.attgenerated <> '' THEN (SELECT pg_get_expr(f.adbin, f.adrelid)
      FROM pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum) END,
    'identityAlways', a.attidentity = 'a',
    'hasDefault', a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL
  ) ORDER BY a.attnum), '[]')
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`;

const UNIQUES = `(SELECT coalesce(json_agg(json_build_object(
    'name', x.relname,
    'primary', i.indisprimary,
    'predicate', pg_get_expr(i.indpred, i.indrelid),
    'nullsDistinct', NOT coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
    'exclusion', i.indisexclusion,
    'deferrable', NOT i.indimmediate,
    'reads', (SELECT coalesce(json_agg(DISTINCT a.attname), '[]') FROM pg_attribute a
      WHERE a.attrelid = c.oid AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum))
        AND a.attnum > 0),
    'parts', (SELECT json_agg(json_build_object(
        'expression', pg_get_indexdef(i.indexrelid, p.n, false),
        'column', (SELECT a.attname FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum = i.indkey[p.n - 1] AND a.attnum > 0),
        'type', format_type(CASE WHEN oc.opckeytype = 0 OR NOT i.indisexclusion THEN ia.atttypid
          ELSE coalesce((SELECT a.atttypid FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum = i.indkey[p.n - 1] AND a.attnum > 0), oc.opcintype) END, -1),
        'equals', CASE WHEN i.indisexclusion
          THEN ${OPERATOR} (SELECT k.conexclop[p.n] FROM pg_constraint k
            WHERE k.conindid = i.indexrelid AND k.contype = 'x'))
          ELSE ${OPERATOR} (SELECT ao.amopopr FROM pg_amop ao WHERE ao.amopfamily = oc.opcfamily
            AND ao.amopstrategy = 3 AND ao.amoplefttype = oc.opcintype
            AND ao.amoprighttype = oc.opcintype)) END
      ) ORDER BY p.n)
      FROM generate_series(1, i.indnkeyatts) p(n)
      JOIN pg_attribute ia ON ia.attrelid = i.indexrelid AND ia.attnum = p.n
      JOIN pg_opclass oc ON oc.oid = i.indclass[p.n - 1])
  ) ORDER BY i.indisprimary DESC, x.relname), '[]')
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
  WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion) AND i.indisvalid)`;

// A partition has a copy of its root's constraint: only what is not inherited within the same table counts.
const FOREIGN_KEYS = `(SELECT coalesce(json_agg(json_build_object(
    'name', k.conname,
    'parentOid', k.confrelid::bigint,
    'parentSchema', (SELECT nspname FROM pg_namespace WHERE oid = p.relnamespace),
    'parentName', p.relname,
    'parentPartitioned', p.relkind = 'p',
    'deferrable', k.condeferrable,
    'columns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
    'types', (SELECT json_agg(format_type(a.atttypid, -1) ORDER BY u.n)
      FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
    'parentColumns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(num, n)
      JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num),
    'equals', (SELECT json_agg(${OPERATOR} u.op) ORDER BY u.n)
      FROM unnest(k.conpfeqop) WITH ORDINALITY u(op, n))
  ) ORDER BY k.conname), '[]')
  FROM pg_constraint k JOIN pg_class p ON p.oid = k.confrelid
  WHERE k.contype = 'f' AND k.conrelid = c.oid
    AND NOT EXISTS (SELECT FROM pg_constraint q WHERE q.oid = k.conparentid AND q.conrelid = k.conrelid))`;

// A table that refers to a partitioned one also has a constraint for each of its partitions, and its own partitions
// have copies.
const REFERENCED_BY = `(SELECT coalesce(json_agg(json_build_object(
    'name', k.conname, 'oid', k.conrelid::bigint, 'onDelete', k.confdeltype, 'onUpdate', k.confupdtype,
    'childSchema', n.nspname, 'childName', p.relname, 'childPartitioned', p.relkind = 'p',
    'readable', has_table_privilege(p.oid, 'SELECT'),
    'definition', pg_get_constraintdef(k.oid),
    'columns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(num, n)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
    'parentColumns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(num, n)
      JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num),
    'types', (SELECT json_agg(format_type(a.atttypid, -1) ORDER BY u.n)
      FROM unnest(k.confkey) WITH ORDINALITY u(num, n)
      JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num),
    'equals', (SELECT json_agg(${OPERATOR} u.op) ORDER BY u.n)
      FROM unnest(k.conpfeqop) WITH ORDINALITY u(op, n))
    ) ORDER BY n.nspname, p.relname, k.conname), '[]')
  FROM pg_constraint k JOIN pg_class p ON p.oid = k.conrelid JOIN pg_namespace n ON n.oid = p.relnamespace
  WHERE k.contype = 'f' AND k.confrelid = c.oid
    AND NOT EXISTS (SELECT FROM pg_constraint q WHERE q.oid = k.conparentid AND q.confrelid = k.confrelid))`;

const CHECKS = `(SELECT coalesce(json_agg(json_build_object(
    'name', k.conname, 'expression', pg_get_expr(k.conbin, k.conrelid),
    'reads', (SELECT coalesce(json_agg(a.attname), '[]') FROM pg_attribute a
      WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))
  ) ORDER BY k.conname), '[]')
  FROM pg_constraint k WHERE k.contype = 'c' AND k.conrelid = c.oid)`;

const ENABLED_TRIGGERS = `FROM pg_trigger g WHERE ${IS_USER_TRIGGER} AND g.tgenabled <> 'D'
  AND g.tgrelid IN (SELECT c.oid UNION ALL SELECT relid FROM pg_partition_tree(c.oid))`;

const RELATION_SQL = `SELECT json_build_object(
    'oid', c.oid::bigint, 'schema', s.nspname, 'name', c.relname, 'kind', c.relkind,
    'columns', ${COLUMNS}, 'uniques', ${UNIQUES},
    'foreignKeys', ${FOREIGN_KEYS}, 'referencedBy', ${REFERENCED_BY},
    'rowSecurityActive', row_security_active(c.oid), 'rowSecurity', c.relrowsecurity, 'checks', ${CHECKS},
    'rewrites', json_build_object(
      'insert', EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '3'),
      'update', EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '2'),
      'delete', EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '4')),
    'parents', (SELECT coalesce(json_agg(json_build_array(n.nspname, p.relname) ORDER BY h.inhseqno), '[]')
      FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace
      WHERE h.inhrelid = c.oid),
    'hasLargeObjects', EXISTS (SELECT FROM pg_largeobject_metadata),
    'bytes', (SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
      FROM (SELECT c.oid AS relid UNION SELECT relid FROM pg_partition_tree(c.oid)) p),
    'leaves', (SELECT coalesce(json_agg(json_build_object(
        'name', n.nspname || '.' || p.relname, 'condition', pg_get_partition_constraintdef(p.oid),
        'foreign', p.relkind = 'f') ORDER BY n.nspname, p.relname), '[]')
      FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid JOIN pg_namespace n ON n.oid = p.relnamespace
      WHERE c.relkind = 'p' AND t.isleaf AND p.relkind <> 'p'),
    'hasInheritors', c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
    'rights', json_build_object(
      'select', has_table_privilege(c.oid, 'SELECT'),
      'insert', has_table_privilege(c.oid, 'INSERT'),
      'update', has_table_privilege(c.oid, 'UPDATE'),
      'delete', has_table_privilege(c.oid, 'DELETE'),
      'create', has_schema_privilege(s.oid, 'CREATE'),
      'lock', has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE'),
      'owner', pg_has_role(c.relowner, 'USAGE'),
      'triggers', pg_has_role(c.relowner, 'USAGE') AND (current_setting('is_superuser') = 'on' OR NOT EXISTS (
        SELECT ${ENABLED_TRIGGERS} AND g.tgisinternal))),
    'enabledTriggers', (SELECT count(*) ${ENABLED_TRIGGERS})
  ) AS relation
  FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
  WHERE s.nspname = $1 AND c.relname = $2`;
