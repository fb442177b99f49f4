import { type Check, look } from './check.ts';

/** The Temporal server, and workers for what a recovery at this site needs. */
export const checkTemporal: Check = async ({ temporal, loaded, site }) => {
  if (temporal === null) return [];
  return [
    await look('temporal', () => temporal.reach()),
    await look('workers', async () => {
      const hosts = loaded.config.sites[site]?.hosts ?? [];
      await temporal.requireServed(site, hosts);
      return `the queues of ${site}, ${hosts.join(', ')} and of control are served`;
    }),
  ];
};
