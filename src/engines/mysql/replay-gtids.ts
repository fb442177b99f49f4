import { HoldfastError } from '../../model/failure.ts';
import {
  equalGtids,
  formatGtids,
  type GtidSet,
  isEmpty,
  isSubset,
  parseGtids,
  subtractGtids,
} from '../../model/gtid.ts';
import type { Connection } from './connection.ts';
import { resetBinlogs } from './flavour.ts';
import { quoteLiteral } from './identifier.ts';
import { shortened } from './replay-reading.ts';
import type { Applied, Batch } from './replay-state.ts';

/** Where nothing was applied yet: transactions that the base has are passed over, should a log hold one. */
export async function setGtids(session: Connection, { gtid, lastTransactionAt }: Applied): Promise<void> {
  if (gtid === null || lastTransactionAt !== null) return;
  if (session.server.flavour === 'mariadb') {
    await session.query(`SET GLOBAL gtid_slave_pos = ${quoteLiteral(gtid)}`);
    return;
  }
  await session.query(resetBinlogs(session.server));
  if (gtid !== '') await session.query(`SET GLOBAL gtid_purged = ${quoteLiteral(gtid)}`);
}

/**
 * Every transaction of the base and the logs up to the target is there, and no other one. MySQL gives those that the
 * applier went past no place among them: they get it here. Throws CheckFailed.
 */
export async function requireGtids(session: Connection, { after, excused }: Batch): Promise<void> {
  if (after.gtid === null) return;
  const { flavour } = session.server;
  const expected = parseGtids(after.gtid, flavour);
  const before = parseGtids(await readGtids(session), flavour);
  if (flavour === 'mysql') {
    const lacking = subtractGtids(expected, before);
    if (isSubset(lacking, parseGtids(excused, flavour))) await fillUp(session, lacking);
  }
  const found = parseGtids(await readGtids(session), flavour);
  if (equalGtids(found, expected)) return;
  throw new HoldfastError(
    'CheckFailed',
    `the restored server holds the transactions ${shortened(formatGtids(found))}, and not ${shortened(formatGtids(expected))} as it should`,
    { hint: 'restore from another backup: --backup <id> of holdfast catalog' },
  );
}

async function fillUp(session: Connection, lacking: GtidSet): Promise<void> {
  if (lacking.flavour !== 'mysql' || isEmpty(lacking)) return;
  for (const [source, intervals] of lacking.sources) {
    for (const { first, last } of intervals) {
      for (let number = first; number <= last; number += 1n) {
        await session.query(`SET SESSION gtid_next = ${quoteLiteral(`${source}:${number}`)}`);
        await session.query('COMMIT');
      }
    }
  }
  await session.query("SET SESSION gtid_next = 'AUTOMATIC'");
}

async function readGtids(session: Connection): Promise<string> {
  const name = session.server.flavour === 'mysql' ? 'gtid_executed' : 'gtid_slave_pos';
  const [row] = await session.query<{ gtids: string | null }>(`SELECT @@GLOBAL.${name} AS gtids`);
  return (row?.gtids ?? '').replaceAll(/\s/g, '');
}
