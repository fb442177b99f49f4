import { HoldfastError } from '../../../model/failure.ts';
import type { ServerMark } from '../../contract/change.ts';
import type { Connection } from '../connection.ts';
import { fateOf, parseMarker } from '../import/marker.ts';
import { markServer } from '../import/server-mark.ts';

const HINT = 'compare the tables with a backup instead: holdfast restore pitr shows what differs';

/** Throws CheckFailed on another server, and on one whose logs have not come as far as they had at the import. */
export async function requireSameHistory(session: Connection, mark: ServerMark): Promise<void> {
  const now = await markServer(session);
  if (now.systemIdentifier !== mark.systemIdentifier) {
    throw notHere('production is another server than the one that the import changed');
  }
  if (isBefore(now.lsn, mark.lsn)) throw notHere('production was restored to a time before the import');
}

/** `binlog.000004:1234`; false where they cannot be compared. */
export function isBefore(now: string, mark: string): boolean {
  const [one, other] = [now, mark].map((place) => /^(.*)\.(\d+):(\d+)$/.exec(place));
  if (!one || !other || one[1] !== other[1]) return false;
  const [file, position] = [Number(one[2]) - Number(other[2]), Number(one[3]) - Number(other[3])];
  return file < 0 || (file === 0 && position < 0);
}

/** Throws CheckFailed where production knows that the import did not commit. */
export async function requireCommitted(session: Connection, transaction: string): Promise<void> {
  if ((await fateOf(session, parseMarker(transaction))) !== 'rolled back') return;
  throw new HoldfastError('CheckFailed', 'the import did not commit: there is nothing to take back', {
    hint: 'look at the runbook that was to import',
  });
}

/**
 * Throws InvalidInput where another undo has committed. Where nothing is left of that attempt, the rows tell: an undo
 * leaves none as the import left it.
 */
export async function requireNotUndone(
  session: Connection,
  { by, transaction }: { by: string; transaction: string },
  isAnyOurs: boolean,
): Promise<void> {
  const fate = await fateOf(session, parseMarker(transaction));
  if (fate === 'rolled back' || (fate === 'cleaned' && isAnyOurs)) return;
  throw new HoldfastError('InvalidInput', `the import was taken back already, by ${by}`, {
    hint: `to have it again, take that back: holdfast undo ${by}`,
  });
}

function notHere(what: string): HoldfastError {
  return new HoldfastError('CheckFailed', `this import cannot be taken back: ${what}`, { hint: HINT });
}
