import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import type { Run } from '../../../model/progress.ts';
import type { ImportInput, ImportResult } from '../../engine.ts';
import { ruleOf } from '../../rule-of.ts';
import { checkFolder } from '../compare/differences.ts';
import { insertOrder } from '../compare/insert-order.ts';
import { preferIndexes } from '../compare/lookup.ts';
import { locateTables, requireSupported } from '../compare/rule.ts';
import { describePair, keyNames, requireRule, type TablePair } from '../compare/table-pair.ts';
import { withConnection } from '../connection.ts';
import { describeApplied, insertMissing } from './apply.ts';
import { type Changed, changeProduction, commitLocked } from './change.ts';
import { importError } from './import-error.ts';
import { advanceSequences } from './sequences.ts';
import { type Stage, stageRows } from './stage.ts';
import { withTriggersOff } from './triggers.ts';

/**
 * Brings the approved rows back: staged in temporary tables, then one transaction. Exactly once, whatever is
 * killed when: the transaction's id and its result are in the journal before the commit, and a later attempt
 * asks production what became of it, as a cancelled one does. Throws PlanChanged (nothing was changed) where an
 * approved row cannot come back any more, LockNotAvailable where the tables are not had in time, CheckFailed,
 * PermissionDenied.
 */
export async function importRows(input: ImportInput, run: Run): Promise<ImportResult> {
  requireSupported(input.conflict);
  const { production, restored } = locateTables(input);
  const options = { applicationName: 'import', signal: run.signal, lockTimeoutMs: input.lockTimeoutMs };
  return changeProduction(production, input, run, (live) =>
    withConnection(restored, { ...options, readOnly: true }, (copy) =>
      // Here, before an error of production is told as one of the restored copy.
      importInto({ production: live, restored: copy }, input, run).catch((error: unknown) => {
        throw importError(error);
      }),
    ),
  );
}

interface Sides {
  production: pg.Client;
  restored: pg.Client;
}

async function importInto(sides: Sides, input: ImportInput, run: Run): Promise<ImportResult> {
  await preferIndexes(sides.restored, true);
  const approved = new Map(input.comparisons.map((comparison) => [comparison.table, comparison]));
  const pairs: TablePair[] = [];
  for (const table of approved.keys())
    pairs.push(await describePair(sides.production, sides.restored, table));
  const stages: Stage[] = [];
  for (const [index, pair] of insertOrder(pairs).entries()) {
    const comparison = approved.get(pair.table);
    if (comparison === undefined) continue;
    const { change, keysSha256 } = ruleOf(comparison, input.conflict);
    requireRule(pair, input.conflict);
    const folder = comparison.keysFolder;
    const { key } = await checkFolder(pair.table, folder, input.conflict, keysSha256);
    refuseOtherKey(pair, key);
    const keys = { folder, count: change.inserts };
    stages.push(await stageRows(sides, pair, keys, index, run));
  }
  const tables = stages.map(({ pair }) => ({
    qualified: pair.production.qualified,
    source: pair.production.source,
    mode: 'SHARE ROW EXCLUSIVE' as const,
  }));
  return commitLocked(sides.production, input, { tables, rows: [] }, run, () =>
    applyStages(sides, input, stages, run),
  );
}

async function applyStages(
  sides: Sides,
  input: ImportInput,
  stages: readonly Stage[],
  run: Run,
): Promise<Changed> {
  const client = sides.production;
  const oids = stages.map(({ pair }) => pair.production.oid);
  const applied = await withTriggersOff(client, oids, async () => {
    await client.query('SET CONSTRAINTS ALL DEFERRED');
    const counts = await insertMissing(client, stages, run);
    // Now, not at the commit: what is written to the journal has to be able to commit.
    await client.query('SET CONSTRAINTS ALL IMMEDIATE');
    return counts;
  });
  for (const stage of stages) await advanceSequences(sides, stage);
  return { tables: describeApplied(input.comparisons, applied), undo: null };
}

function refuseOtherKey(pair: TablePair, key: readonly string[]): void {
  if (key.join('\0') === keyNames(pair).join('\0')) return;
  throw new HoldfastError('PlanChanged', `the key of ${pair.table} has changed since the plan was approved`, {
    hint: 'nothing was changed; look at the new plan and approve that',
  });
}
