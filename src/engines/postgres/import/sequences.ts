import type pg from 'pg';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../identifier.ts';
import type { Stage } from './stage.ts';

interface ColumnSequence {
  column: string;
  schema: string;
  name: string;
  increment: string;
}

/** Steps that a sequence is moved by taking its numbers, as anybody does. */
const FEW_STEPS = 1000;

/**
 * Moves the sequences behind identity, serial and `nextval` columns past the rows that came back, never
 * backwards. Rows beyond what the sequence had reached in the restored copy were numbered by hand (a
 * sentinel such as 2147483647) and do not count: a sequence moved there could give no number any more. Where all rows
 * of the copy were, and production has taken numbers since, it must not come to a number that is there.
 */
export async function advanceSequences(
  sides: { production: pg.Client; restored: pg.Client },
  stage: Stage,
): Promise<void> {
  for (const sequence of await columnSequences(sides.production, stage)) {
    const restored = await restoredPosition(sides.restored, sequence);
    const upward = !sequence.increment.startsWith('-');
    const [furthest, beyond, within] = upward ? ['max', '>', '<='] : ['min', '<', '>='];
    const name = quoteQualified([sequence.schema, sequence.name]);
    const literal = `${quoteLiteral(name)}::pg_catalog.regclass`;
    const column = quoteIdentifier(sequence.column);
    const isAhead = (value: string) =>
      `(${value} ${beyond} sequence.last_value OR (${value} = sequence.last_value AND NOT sequence.is_called))`;
    // An index knows the furthest number of all: mostly the sequence is past that, and the stage is not read.
    const perhaps =
      stage.pair.key.parts[0]?.column === sequence.column
        ? ` AND (SELECT ${isAhead('every.value')} FROM ${name} AS sequence,
             (SELECT ${furthest}(${column}) AS value FROM ${stage.pair.production.source}) AS every)`
        : '';
    // Numbers may be taken at any time, also of a sequence that another table shares: it is set only where nobody
    // gets as far between the look and the deed.
    await sides.production.query(
      `SELECT CASE WHEN steps <= ${FEW_STEPS}
         THEN (SELECT max(pg_catalog.nextval(${literal})) FROM pg_catalog.generate_series(1, steps))
         ELSE pg_catalog.setval(${literal}, value) END
       FROM (SELECT reached.value, pg_catalog.ceil((reached.value::pg_catalog.numeric - sequence.last_value)
           / (${sequence.increment})) + CASE WHEN sequence.is_called THEN 0 ELSE 1 END AS steps
         FROM (SELECT ${furthest}(${column})::pg_catalog.int8 AS value FROM ${stage.rows}
           WHERE holdfast_how <> 'v' AND ($1::pg_catalog.numeric IS NULL OR ${column} ${within} $1::pg_catalog.numeric
             OR (NOT $2::pg_catalog.bool AND (SELECT is_called FROM ${name})))${perhaps}) AS reached,
           ${name} AS sequence
         WHERE ${isAhead('reached.value')} OFFSET 0) AS ahead`,
      [restored?.last ?? null, restored?.used ?? false],
    );
  }
}

/** Of integer columns that come back: owned by the column, or named in its default. */
async function columnSequences(client: pg.Client, stage: Stage): Promise<ColumnSequence[]> {
  const { rows } = await client.query<ColumnSequence>(
    `SELECT DISTINCT a.attname AS column, n.nspname AS schema, s.relname AS name, q.seqincrement::pg_catalog.text AS increment
     FROM pg_catalog.pg_attribute a
     LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
     JOIN pg_catalog.pg_depend d
       ON (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid
           AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i'))
       OR (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid)
     JOIN pg_catalog.pg_sequence q
       ON q.seqrelid = CASE WHEN d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.objid ELSE d.refobjid END
     JOIN pg_catalog.pg_class s ON s.oid = q.seqrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
     WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = ANY ($2::pg_catalog.text[])
       AND a.atttypid IN (20, 21, 23)
     ORDER BY 1, 2, 3`,
    [stage.pair.production.oid, stage.pair.columns],
  );
  return rows;
}

/** How far the sequence of the same name was in the restored copy; null where it has none that can be read. */
async function restoredPosition(
  client: pg.Client,
  sequence: ColumnSequence,
): Promise<{ last: string; used: boolean } | null> {
  const name = quoteQualified([sequence.schema, sequence.name]);
  const { rows: known } = await client.query<{ readable: boolean | null }>(
    `SELECT CASE relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(oid, 'SELECT') END AS readable
     FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)`,
    [name],
  );
  if (known[0]?.readable !== true) return null;
  const { rows } = await client.query<{ last: string; used: boolean }>(
    `SELECT (last_value::pg_catalog.numeric - CASE WHEN is_called THEN 0 ELSE ${sequence.increment} END)::pg_catalog.text AS last,
       is_called AS used
     FROM ${name}`,
  );
  return rows[0] ?? null;
}
