import type pg from 'pg';
import { HoldfastError } from '../../../model/failure.ts';
import { IS_USER_TRIGGER } from '../compare/triggers.ts';
import { quoteIdentifier } from '../identifier.ts';

interface TriggerState {
  relation: string;
  name: string;
  /** pg_trigger.tgenabled: O origin, A always, R replica, D disabled */
  enabled: 'O' | 'A' | 'R' | 'D';
}

const COMMANDS = { O: 'ENABLE', A: 'ENABLE ALWAYS', R: 'ENABLE REPLICA', D: 'DISABLE' } as const;

/**
 * Runs work with the user triggers of the tables off, and puts each back into the very state that it had.
 * Inside the transaction and under its locks, so that nobody else ever sees them off; foreign keys stay on.
 */
export async function withTriggersOff<T>(
  client: pg.Client,
  oids: readonly number[],
  work: () => Promise<T>,
): Promise<T> {
  const before = await triggerStates(client, oids);
  const firing = before.filter((trigger) => trigger.enabled === 'O' || trigger.enabled === 'A');
  for (const trigger of firing) await setTrigger(client, trigger, 'D');
  const result = await work();
  if (firing.length === 0) return result;
  // On a partitioned table the command reaches its partitions: root first, then each partition as it was.
  for (const trigger of before) await setTrigger(client, trigger, trigger.enabled);
  if (JSON.stringify(await triggerStates(client, oids)) !== JSON.stringify(before)) {
    throw new HoldfastError('CheckFailed', 'the triggers could not be put back as they were', {
      hint: 'nothing was changed; please report this with the definitions of the triggers',
    });
  }
  return result;
}

async function setTrigger(
  client: pg.Client,
  trigger: TriggerState,
  state: TriggerState['enabled'],
): Promise<void> {
  await client.query(
    `ALTER TABLE ${trigger.relation} ${COMMANDS[state]} TRIGGER ${quoteIdentifier(trigger.name)}`,
  );
}

async function triggerStates(client: pg.Client, oids: readonly number[]): Promise<TriggerState[]> {
  const { rows } = await client.query<TriggerState>(
    `SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS relation,
       g.tgname AS name, g.tgenabled AS enabled
     FROM (SELECT root AS oid, 0 AS level FROM unnest($1::pg_catalog.oid[]) root
       UNION SELECT p.relid, p.level FROM unnest($1::pg_catalog.oid[]) root,
         pg_catalog.pg_partition_tree(root) p WHERE p.level > 0) t
     JOIN pg_catalog.pg_class c ON c.oid = t.oid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid
     WHERE ${IS_USER_TRIGGER}
     ORDER BY t.level, relation, g.tgname`,
    [oids],
  );
  return rows;
}
