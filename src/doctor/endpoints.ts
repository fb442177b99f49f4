import { openEndpoints } from '../endpoints/open.ts';
import { formatAddress } from '../model/topology.ts';
import { type Check, lookAtEach } from './check.ts';

/** Whether what clients find the database by can be read from here. Nothing is written. */
export const checkEndpoints: Check = ({ loaded, takeovers, run }) => {
  const all = takeovers.flatMap(({ database }) =>
    openEndpoints(database, loaded.directory).map((endpoint) => ({ database, endpoint })),
  );
  return lookAtEach(
    all,
    ({ database }) => `endpoint of ${database.name}`,
    async ({ endpoint }) => {
      const address = await endpoint.read(run);
      return `${endpoint.name}: ${address === null ? 'nothing is set' : `set to ${formatAddress(address)}`}`;
    },
  );
};
