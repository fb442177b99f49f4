import type pg from 'pg';
import type { Check } from '../../../model/evidence.ts';
import { countOf } from '../../../model/plan.ts';
import type { Run } from '../../../model/progress.ts';
import type { UndoVerifyInput } from '../../contract/change.ts';
import { withConnection } from '../connection.ts';
import { type Judgement, judge } from './judge.ts';
import { shortTransaction } from './server-mark.ts';
import type { UndoneTable } from './undo-table.ts';
import { readUndone } from './undone.ts';

/**
 * Engine.verifyUndo: rows that others have changed are not judged; a row that the undo itself wrote last has to be what
 * it was before the import. Throws what planUndo throws.
 */
export async function verifyUndo(input: UndoVerifyInput, run: Run): Promise<Check[]> {
  const options = { applicationName: 'verify undo', readOnly: true, signal: run.signal };
  return withConnection(input.production, options, async (client) => {
    const undone = await readUndone(client, input, run);
    const kept = await judge(client, undone, 'keep-changed', run);
    const approved = await judge(client, undone, input.conflict, run);
    const checks: Check[] = [];
    for (const { table } of undone.data.tables) {
      const judged = kept.tables.find((one) => one.table.data.table === table);
      const wrong: string[] = [];
      if (judged === undefined) {
        if (staysAgainstPlan(approved, table)) wrong.push('the table that the import made is still there');
      } else {
        const { inserts, updates, replaces, deletes } = judged.counts;
        // Without a key nothing tells whether a row that the import deleted is there again.
        const left = judged.table.key === null ? deletes : inserts + updates + replaces + deletes;
        const different = await countDifferent(client, judged.table, input.transaction);
        if (left > 0) wrong.push(`${countOf(left, 'row')} not taken back`);
        if (different > 0)
          wrong.push(`${countOf(different, 'row')} that the undo wrote not as before the import`);
      }
      checks.push({
        name: `undo of ${table}`,
        verdict: wrong.length === 0 ? 'pass' : 'fail',
        detail: wrong.length === 0 ? 'nothing is left to take back' : wrong.join('; '),
      });
    }
    return checks;
  });
}

const staysAgainstPlan = ({ created }: Judgement, table: string) =>
  created.some((one) => one.drop && one.table.data.table === table);

/** Rows of the undo's own transaction that are not as they were. */
async function countDifferent(
  client: pg.Client,
  { rows }: UndoneTable,
  transaction: string,
): Promise<number> {
  const found = await client.query<{ count: string }>(
    `SELECT count(*) FROM ${rows} WHERE holdfast_state = 'c' AND holdfast_writer = $1::pg_catalog.xid`,
    [shortTransaction(transaction)],
  );
  return Number(found.rows[0]?.count);
}
