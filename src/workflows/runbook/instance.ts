import type { InstanceReference, RecoverySettings } from '../../activities/recovery-types.ts';
import { cleanUpOnHost } from '../proxies.ts';
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
