import { uuid4, workflowInfo } from '@temporalio/workflow';
import type { Base, InstanceReference, RecoverySettings } from '../../activities/recovery-types.ts';
import { cleanUpOnHost, onHost, onSite } from '../proxies.ts';
import type { Runbook } from './runbook.ts';

/**
 * Removes an instance wherever its provisioning got: where no host has answered yet, every host of the site is
 * asked. Not-found is success.
 */
export async function removeInstance(
  runbook: Runbook,
  id: string,
  settings: RecoverySettings,
  made: InstanceReference | null,
): Promise<void> {
  const { site, siteHosts, noWorkerAfterMs } = settings;
  const places = made === null ? siteHosts.map((host) => ({ id, site, host })) : [made];
  await runbook.step('remove instance', async () => {
    for (const instance of places) {
      // A host without a worker is waited for only where the instance is known to be there.
      const proxy = cleanUpOnHost(instance.host, made === null ? noWorkerAfterMs : undefined);
      await proxy.removeInstance({ instance });
    }
  });
  runbook.status.instance = null;
}

/** An instance that a runbook works with, and removes whatever happens. */
export interface Provisioned {
  instance: InstanceReference;
  host: ReturnType<typeof onHost>;
  /** moves its expiry on: people are about to be asked; gives the new one, ISO 8601 */
  keep: () => string;
  /** From now on this is done with it at the end; else it is removed. */
  insteadOfRemoval: (work: () => Promise<void>) => void;
  remove: () => Promise<void>;
}

/**
 * Provisions an instance on the site and registers its removal first. `release` gives up the right to change
 * production before the instance goes: its host may be away for an hour.
 */
export async function provisionInstance(
  runbook: Runbook,
  settings: RecoverySettings,
  what: { database: string; base: Base; release: (() => Promise<void>) | null; keepMs?: number },
): Promise<Provisioned> {
  const { database, base, release, keepMs = 0 } = what;
  const { workflowId, runId } = workflowInfo();
  const id = `${database}-${uuid4().slice(0, 8)}`;
  let made: InstanceReference | null = null;
  const remove = () => removeInstance(runbook, id, settings, made);
  let ending = remove;
  runbook.cleanUpWith(() => ending());
  if (release !== null) runbook.cleanUpWith(release);
  // The reaper takes what has expired, owner or not: waiting for people must not expire it.
  const lifetimeMs =
    settings.instanceLifetimeMs + settings.approval.timeLimitMs + settings.parkLimitMs + keepMs;
  const { site } = settings;
  const instance = await runbook.step(
    'provision',
    () =>
      onSite(site, settings).provisionInstance({
        ...{ id, site, database, base, lifetimeMs, owner: { workflowId, runId } },
      }),
    (provisioned) => `${provisioned.id} on ${provisioned.host}`,
  );
  made = instance;
  runbook.status.instance = { id, url: null, expiresAt: instance.expiresAt };
  const keep = () => {
    const expiresAt = new Date(Date.now() + lifetimeMs).toISOString();
    if (runbook.status.instance !== null) runbook.status.instance.expiresAt = expiresAt;
    return expiresAt;
  };
  const insteadOfRemoval = (work: () => Promise<void>) => {
    ending = work;
  };
  return { instance, host: onHost(instance.host, settings), keep, insteadOfRemoval, remove };
}
