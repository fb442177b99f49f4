import { HoldfastError } from '../../../model/failure.ts';
import { hashOf } from '../compare/scratch.ts';
import type { Connection } from '../connection.ts';
import { quoteIdentifier } from '../identifier.ts';
import { countStaged, isRow, isStaged, namesOf, type Stage } from './stage.ts';

/** How many rows of a table were changed. */
export interface Applied {
  inserted: number;
  updated: number;
  deleted: number;
}

/**
 * Does all of the change: in every table first the rows that go, then updates, then rows that come, so that a unique value
 * can go from one row to another. Foreign keys are off meanwhile: see {@link requireReferences}. Throws CheckFailed where
 * a row is not what it was to become.
 */
export async function applyStages(session: Connection, stages: readonly Stage[]): Promise<Applied[]> {
  await session.execute('SET SESSION foreign_key_checks = 0');
  // A statement that changes nothing takes the right to change all the same.
  const where = async (how: string, work: typeof deleteRows) => {
    for (const stage of stages) if ((await countStaged(session, stage, how)) > 0) await work(session, stage);
  };
  await where('drD', deleteRows);
  await where('u', updateRows);
  await where('ir', insertStaged);
  await session.execute('SET SESSION foreign_key_checks = 1');
  const applied: Applied[] = [];
  for (const stage of stages) {
    await requireWritten(session, stage);
    applied.push({
      inserted: await countStaged(session, stage, 'i'),
      updated: await countStaged(session, stage, 'ur'),
      deleted: await countStaged(session, stage, 'dD'),
    });
  }
  return applied;
}

async function deleteRows(session: Connection, { compared, rows }: Stage): Promise<void> {
  const { pair } = compared;
  const table = pair.production.qualified;
  // With a key each row is looked up; without one the table is read once, and each row's hash is.
  const joined =
    pair.key === null
      ? `${table} AS t STRAIGHT_JOIN ${rows} AS s`
      : `${rows} AS s STRAIGHT_JOIN ${table} AS t`;
  await session.execute(
    `DELETE t FROM ${joined} ON ${isRow(compared, 't', 's')} WHERE ${isStaged(pair.key === null ? 'D' : 'dr', 's')}`,
  );
  if (pair.key !== null) return;
  const some = await session.query<{ hash: string; count: number }>(
    `SELECT CAST(holdfast_hash AS CHAR) AS hash, holdfast_count AS count FROM ${rows} WHERE ${isStaged('d')}`,
  );
  for (const { hash, count } of some) {
    await session.execute(
      `DELETE FROM ${table} WHERE ${hashOf(pair, pair.production.name)} = ${hash} LIMIT ${count}`,
    );
  }
}

async function updateRows(session: Connection, { compared, rows }: Stage): Promise<void> {
  const { pair } = compared;
  if (pair.key === null) return;
  const set = pair.columns.map((name) => `t.${quoteIdentifier(name)} = s.${quoteIdentifier(name)}`);
  // ON UPDATE CURRENT_TIMESTAMP changes only what is not named.
  const kept = pair.production.columns.filter(
    ({ name, automatic }) => automatic === true && !pair.columns.includes(name),
  );
  for (const { name } of kept) set.push(`t.${quoteIdentifier(name)} = t.${quoteIdentifier(name)}`);
  await session.execute(
    `UPDATE ${rows} AS s STRAIGHT_JOIN ${pair.production.qualified} AS t ON ${isRow(compared, 't', 's')}
     SET ${set.join(', ')} WHERE ${isStaged('u', 's')}`,
  );
}

async function insertStaged(session: Connection, { compared, rows }: Stage): Promise<void> {
  const { pair } = compared;
  const names = namesOf(pair.columns);
  const insert = `INSERT INTO ${pair.production.qualified} (${names}) SELECT ${names} FROM ${rows} WHERE ${isStaged('ir')}`;
  if (pair.key !== null) {
    await session.execute(insert);
    return;
  }
  for (let time = 1; ; time += 1) {
    const { foundRows } = await session.execute(`${insert} AND holdfast_count >= ${time}`);
    if (foundRows === 0) return;
  }
}

/** What has been written is what was to be, whatever a default or a conversion made of it: or nothing is changed. */
async function requireWritten(session: Connection, { compared, rows }: Stage): Promise<void> {
  const { pair } = compared;
  if (pair.key === null) return;
  const key = quoteIdentifier(pair.key[0] as string);
  const there = `LEFT JOIN ${pair.production.qualified} AS t ON ${isRow(compared, 't', 's')}`;
  const [row] = await session.query<{ n: string }>(
    `SELECT COUNT(*) AS n FROM ${rows} AS s ${there} WHERE (${isStaged('iur', 's')} AND (t.${key} IS NULL OR s.holdfast_hash <> ${hashOf(pair, 't')}))
       OR (${isStaged('d', 's')} AND t.${key} IS NOT NULL)`,
  );
  if (row?.n === '0' || Number(row?.n) === 0) return;
  throw new HoldfastError(
    'CheckFailed',
    `${row?.n} rows of ${pair.table} did not become what they were to be`,
    {
      hint: 'nothing was changed; recover side-by-side and copy the rows by hand',
    },
  );
}
