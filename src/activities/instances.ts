import type { InstanceRecord } from '../instances/instance.ts';
import { HoldfastError } from '../model/failure.ts';
import { instancesOf } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import type { InstanceReference } from './recovery-types.ts';

/** The record of an instance on this host. Throws InstanceLost. */
export async function findInstance(
  deps: Dependencies,
  instance: InstanceReference,
  hint = 'start the runbook again: nothing was changed in production',
): Promise<InstanceRecord> {
  const record = await instancesOf(deps, instance.site).find(instance.id);
  if (record !== null) return record;
  throw new HoldfastError('InstanceLost', `instance ${instance.id} is not on ${deps.host} any more`, {
    hint,
  });
}

/** The reaper takes what has expired, owner or not: each wait for people needs its time. */
export async function keepInstance(
  deps: Dependencies,
  instance: InstanceReference,
  expiresAt: string,
): Promise<InstanceRecord> {
  const { id } = await findInstance(deps, instance);
  return instancesOf(deps, instance.site).update(id, { expiresAt });
}
