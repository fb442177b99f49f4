import type { ServerAccess } from '../../model/access.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import { type Driver, openDriver } from './driver.ts';
import { placeOf, refusalOf, serverError } from './error.ts';
import { parseServer } from './flavour.ts';
import { identityExpression } from './identity.ts';
import { requireIdentity } from './inspect.ts';

const ANSWER_LIMIT_MS = 10_000;
/** `--read-only option so it cannot execute this statement` */
const READ_ONLY = 1290;
/** MySQL has no timelines: a server that took over is told by its identity and its GTIDs. */
const TIMELINE = 1;

/**
 * Engine.probe: one transaction in a session as an application has it, which works through a pooler too. Nothing is
 * set in the session: what a pooler gives to somebody else later must be as it was. It writes nothing: a server has no
 * statement that writes and leaves nothing, so what it says of itself is believed. Throws CheckFailed for a server that
 * takes no writes, ConnectionFailed, AuthenticationFailed, PermissionDenied.
 */
export async function probe(
  access: ServerAccess,
  run: Run,
): Promise<{ systemIdentifier: string; timeline: number }> {
  run.signal.throwIfAborted();
  const driver = openDriver(access, { connectTimeoutMs: ANSWER_LIMIT_MS, program: 'probe' });
  const abort = () => driver.drop();
  let late = false;
  const forced = setTimeout(() => {
    late = true;
    driver.drop();
  }, ANSWER_LIMIT_MS);
  run.signal.addEventListener('abort', abort, { once: true });
  try {
    await driver.ready;
    return { systemIdentifier: await commitProbe(driver, access), timeline: TIMELINE };
  } catch (error) {
    run.signal.throwIfAborted();
    if (late) {
      throw new HoldfastError('ConnectionFailed', `the server at ${placeOf(access)} did not answer in time`);
    }
    const known = serverError(error, access);
    throw refusalOf(known) === READ_ONLY ? standby(access) : known;
  } finally {
    clearTimeout(forced);
    run.signal.removeEventListener('abort', abort);
    await driver.end();
  }
}

async function commitProbe(driver: Driver, access: ServerAccess): Promise<string> {
  const [said] = await driver.rows<{ version: string; comment: string }>(
    'SELECT VERSION() AS version, @@version_comment AS comment',
  );
  const { flavour } = parseServer(said?.version ?? '', said?.comment ?? '');
  // Some users may write in spite of read_only; applications are not among them.
  const closed =
    flavour === 'mysql'
      ? '@@GLOBAL.read_only OR @@GLOBAL.super_read_only OR @@GLOBAL.innodb_read_only OR @@GLOBAL.offline_mode'
      : '@@GLOBAL.read_only OR @@GLOBAL.innodb_read_only';
  // What START TRANSACTION says is not in it: it is the session's default.
  const refused = flavour === 'mysql' ? '@@SESSION.transaction_read_only' : '@@SESSION.tx_read_only';
  // A pooler keeps a transaction on one server.
  await driver.rows('START TRANSACTION READ WRITE');
  const [facts] = await driver.rows<{ id: string | null; closed: number | string; refused: number | string }>(
    `SELECT ${identityExpression(flavour)} AS id, ${closed} AS closed, ${refused} AS refused`,
  );
  await driver.rows('COMMIT');
  if (Number(facts?.closed) !== 0) throw standby(access);
  if (Number(facts?.refused) !== 0) {
    throw new HoldfastError('CheckFailed', 'transactions are read-only by default (transaction_read_only)');
  }
  return requireIdentity(facts?.id ?? null);
}

function standby(access: ServerAccess): HoldfastError {
  return new HoldfastError(
    'CheckFailed',
    `the server at ${placeOf(access)} takes no writes (read_only): it is a replica, or is kept from writing`,
  );
}
