import type { Run } from '../../../model/progress.ts';
import { tooMuchDrift } from '../../approved.ts';
import { takeDifferences } from '../compare/differences.ts';
import { isActive } from '../compare/effects.ts';
import { createTables } from '../compare/fill.ts';
import { comparedOf, keyColumns, type Scratch, sameKey } from '../compare/scratch.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import { bePatient } from './change.ts';
import { dropStaged, type Stage, stageRows } from './stage.ts';

/** Rows beyond the approved ones, and those of them that were approved as another kind of difference. */
export interface Drift {
  beyond: number;
  crossed: number;
}

/**
 * Takes the whole difference of a table again under its lock, and makes the stage that: what is beyond the approved rows
 * comes in, up to so many, and what has vanished goes out. Throws PlanChanged where there are more.
 */
export async function takeDrift(
  session: Connection,
  scratch: Scratch,
  stage: Stage,
  allowed: number,
  run: Run,
): Promise<Drift> {
  const { compared, rule } = stage;
  const { pair, diff, index } = compared;
  const fresh = comparedOf(pair, scratch.schema, index, true);
  await bePatient(session, true);
  await createTables(scratch, fresh);
  await takeDifferences(session, scratch, fresh, run);
  const approved = `${diff} AS a ON ${sameKey(pair, 'a', 'f')}`;
  const [counts] = await scratch.work.query<{ beyond: string; crossed: string }>(
    `SELECT CAST(IFNULL(SUM(f.holdfast_count - IF(a.holdfast_kind = f.holdfast_kind, LEAST(a.holdfast_count, f.holdfast_count), 0)), 0) AS SIGNED) AS beyond,
       CAST(IFNULL(SUM(IF(a.holdfast_kind <> f.holdfast_kind AND ${isActive(rule, 'a')}, f.holdfast_count, 0)), 0) AS SIGNED) AS crossed
     FROM ${fresh.diff} AS f LEFT JOIN ${approved}`,
  );
  const drift = { beyond: Number(counts?.beyond), crossed: Number(counts?.crossed) };
  if (drift.beyond > allowed) throw tooMuchDrift(pair.table, allowed);
  // What a plan leaves alone stays alone.
  const known = `SELECT 1 FROM ${diff} AS a WHERE ${sameKey(pair, 'a', 'd')} AND (NOT ${isActive(rule, 'a')}
    OR (a.holdfast_kind = d.holdfast_kind AND a.holdfast_count = d.holdfast_count))`;
  await stageRows(session, scratch.reader, stage, {
    from: fresh,
    where: `NOT EXISTS (${known})`,
    done: () => {},
  });
  const key = quoteIdentifier(keyColumns(pair)[0]?.name as string);
  await dropStaged(
    session,
    scratch.reader,
    stage,
    `${diff} AS d LEFT JOIN ${fresh.diff} AS f ON ${sameKey(pair, 'd', 'f')} WHERE ${isActive(rule, 'd')} AND f.${key} IS NULL`,
  );
  await bePatient(session, false);
  return drift;
}
