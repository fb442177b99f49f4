import type { UndoRule } from '../../../model/plan.ts';
import { formatNameParts } from '../../../model/table.ts';
import { planChanged } from '../../approved.ts';
import { actionsOf } from '../../undo-actions.ts';
import { hashOf, leniently } from '../compare/scratch.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import { createLost } from '../import/references.ts';
import { createMoving } from '../import/settle.ts';
import { createStage, type Stage } from '../import/stage.ts';
import type { Judged, Judgement } from './judge.ts';
import { isDropped } from './questions.ts';
import { GOING } from './rows.ts';
import { isRow } from './undone-table.ts';

/** What is to be done to one table, as an import stages it. */
export interface UndoStage {
  judged: Judged;
  stage: Stage;
  rule: UndoRule;
}

/** Stages what was judged last. */
export async function stageUndo(
  session: Connection,
  judged: Judged,
  judgement: Judgement,
): Promise<UndoStage> {
  const { table } = judged;
  const { pair } = table.compared;
  // Another session holds the tables that go: they are not to be waited for.
  const production = {
    ...pair.production,
    foreignKeys: pair.production.foreignKeys.filter(({ parent }) => !isDropped(judgement, parent)),
    referencedBy: pair.production.referencedBy.filter(({ child }) => !isDropped(judgement, child)),
  };
  const compared = { ...table.compared, pair: { ...pair, production, restored: production } };
  const stage = await createStage(session, compared, 'restore-changed', []);
  await createLost(session, stage);
  await createMoving(session, stage);
  const actions = actionsOf(judgement.rule);
  const add = (
    how: string,
    count: string,
    hash: string,
    names: readonly string[],
    where: string,
    after = '',
  ) => {
    const columns = names.map(quoteIdentifier);
    const values = names.map((name) => `s.${quoteIdentifier(name)}`);
    const insert = `INSERT INTO ${stage.rows} (${['holdfast_how', 'holdfast_count', 'holdfast_hash', ...columns].join(', ')})
       SELECT ${[how, count, hash, ...values].join(', ')} FROM ${table.rows} AS s WHERE ${where} ${after}`;
    return leniently(session, () => session.execute(insert));
  };
  if (pair.key === null) {
    await add(
      `IF(s.holdfast_there <= s.holdfast_count, 'D', 'd')`,
      GOING('s'),
      's.holdfast_hash',
      [],
      actions.deletes('s'),
    );
    const again = `ON DUPLICATE KEY UPDATE holdfast_count = ${stage.rows}.holdfast_count + 1`;
    await add(`'i'`, '1', 's.holdfast_before', pair.columns, actions.inserts('s'), again);
  } else {
    await add(`'d'`, '1', '0', pair.key, actions.deletes('s'));
    await add(`'u'`, '1', 's.holdfast_before', pair.columns, actions.updates('s'));
    await add(`'i'`, '1', 's.holdfast_before', pair.columns, actions.inserts('s'));
  }
  return { judged, stage, rule: judgement.rule };
}

/** Under the locks: throws PlanChanged unless every row that goes, changes or comes is just what it was when judged. */
export async function requireAsJudged(
  session: Connection,
  { judged, stage, rule }: UndoStage,
): Promise<void> {
  const { table, counts } = judged;
  const { pair } = stage.compared;
  const actions = actionsOf(rule);
  const source = `${pair.production.qualified} AS t`;
  const count = async (from: string) => {
    const [row] = await session.query<{ n: string }>(`SELECT CAST(COUNT(*) AS CHAR) AS n FROM ${from}`);
    return Number(row?.n);
  };
  const touched = `(${actions.deletes('s')} OR ${actions.updates('s')})`;
  let isSame: boolean;
  if (pair.key === null) {
    const there = `${source} STRAIGHT_JOIN ${table.rows} AS s ON ${isRow(table, 't', 's')} AND ${actions.deletes('s')}`;
    const wrong = `SELECT s.holdfast_n FROM ${there} GROUP BY s.holdfast_n, s.holdfast_there HAVING COUNT(*) <> s.holdfast_there`;
    const [all] = await session.query<{ n: string }>(
      `SELECT CAST(COUNT(*) AS CHAR) AS n FROM ${table.rows} AS s WHERE ${actions.deletes('s')}`,
    );
    isSame =
      (await count(`(${wrong}) AS w`)) === 0 &&
      (await count(`(SELECT DISTINCT s.holdfast_n FROM ${there}) AS w`)) === Number(all?.n);
  } else {
    const row = `${table.rows} AS s STRAIGHT_JOIN ${source} ON ${isRow(table, 't', 's')}`;
    const same = `${touched} AND ${hashOf(pair, 't')} = s.holdfast_now`;
    isSame =
      (await count(`${row} WHERE ${same} FOR UPDATE`)) === counts.deletes + counts.updates &&
      (await count(`${row} WHERE ${actions.inserts('s')} FOR UPDATE`)) === 0;
  }
  if (!isSame) throw planChanged(`others have changed rows of ${formatNameParts(pair.parts)}`);
}
