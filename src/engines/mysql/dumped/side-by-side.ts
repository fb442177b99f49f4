import { dividedTable, filledTable, isForAllSessions, isOfOneSession, leavesOpen } from './kind.ts';
import type { ScriptSession } from './script-session.ts';

/** Larger ones run alone, so that there is never more of them in memory than one. */
const LARGE_BYTES = 16 * 1024 * 1024;
/** Deadlock, and a lock that took too long: a statement that commits by itself has left nothing. */
const LOCKED: readonly number[] = [1213, 1205];

/**
 * Runs the statements of a dump in the first session, in order; rows of a table where their order does not matter go to
 * whichever session is free. `onRefusal` takes what the server refused, and throws where that is the end.
 */
export async function runSideBySide(
  sessions: readonly ScriptSession[],
  script: AsyncIterable<string> | Iterable<string>,
  onRefusal: (statement: string, errno: number) => Promise<void>,
): Promise<void> {
  const [first] = sessions as readonly [ScriptSession, ...ScriptSession[]];
  const free = [...sessions];
  const busy = new Set<Promise<void>>();
  const again: string[] = [];
  const failures: unknown[] = [];
  let divided: string | null = null;
  let isAlone = sessions.length === 1;

  const inOrder = async (session: ScriptSession, statement: string) => {
    const errno = await session.refusal(statement);
    if (errno !== null) await onRefusal(statement, errno);
  };
  const aside = async (session: ScriptSession, statement: string) => {
    try {
      const errno = await session.refusal(statement);
      if (errno !== null && LOCKED.includes(errno)) again.push(statement);
      else if (errno !== null) await onRefusal(statement, errno);
    } catch (error) {
      failures.push(error);
    }
    free.push(session);
  };
  const throwFailure = () => {
    if (failures.length > 0) throw failures[0];
  };
  const allDone = async () => {
    await Promise.all(busy);
    throwFailure();
    // Nobody else is there to be in its way.
    for (const statement of again.splice(0)) await inOrder(first, statement);
  };

  for await (const statement of script) {
    const table = filledTable(statement);
    if (!isAlone && table !== null && table === divided && statement.length <= LARGE_BYTES) {
      if (again.length > 0) await allDone();
      while (free.length === 0) await Promise.race(busy);
      throwFailure();
      const one = aside(free.shift() as ScriptSession, statement).finally(() => busy.delete(one));
      busy.add(one);
      continue;
    }
    await allDone();
    if (table === null) {
      divided = dividedTable(statement) ?? (isOfOneSession(statement) ? null : divided);
      isAlone ||= leavesOpen(statement);
    }
    await inOrder(first, statement);
    if (isAlone || !isForAllSessions(statement)) continue;
    for (const session of sessions.slice(1)) await inOrder(session, statement);
  }
  await allDone();
}
