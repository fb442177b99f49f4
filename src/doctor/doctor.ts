import { type DatabaseView, describeDatabase } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Manifest } from '../model/backup.ts';
import { checkAddresses } from './address.ts';
import { checkBucket } from './bucket.ts';
import { checkCapabilities } from './capabilities.ts';
import type { Check, Examination, Finding, Installation, Patient } from './check.ts';
import { checkClocks } from './clocks.ts';
import { checkCredentials } from './credentials.ts';
import { checkDisk } from './disk.ts';
import { checkEndpoints } from './endpoints.ts';
import { examine } from './examine.ts';
import { checkFences } from './fence.ts';
import { checkFiles } from './files.ts';
import { checkInstallation } from './installation.ts';
import { checkLogFolders } from './log-folders.ts';
import { checkRepository, newestBase } from './repository.ts';
import { checkSecrets } from './secrets.ts';
import { checkServers } from './servers.ts';
import { checkSites } from './sites.ts';
import { checkTemporal } from './temporal.ts';
import { checkBackupTool, checkServerPrograms } from './tools.ts';
import { checkUsers } from './users.ts';
import { checkVersions } from './versions.ts';

/** In the order in which what they need is mended. */
const SITE_CHECKS: readonly Check[] = [
  checkSecrets,
  checkFiles,
  checkRepository,
  checkBackupTool,
  checkServerPrograms,
  checkLogFolders,
  checkUsers,
  checkDisk,
  checkAddresses,
  checkEndpoints,
  checkFences,
  checkTemporal,
];

/** In the same order, for a whole installation. */
const CHECKS: readonly Check<Installation>[] = [
  checkCredentials,
  checkVersions,
  checkServers,
  checkRepository,
  checkBucket,
  checkCapabilities,
  checkInstallation,
  checkClocks,
  checkSites,
];

/** Everything that backups and recoveries need, as far as this machine and the sites' workers can see, line by line. */
export async function* examineInstallation(
  loaded: LoadedConfig,
  names: readonly string[],
  rest: Pick<Installation, 'engines' | 'temporal' | 'patienceMs' | 'run'>,
): AsyncIterable<Finding> {
  const databases = names.map((name) => describeDatabase(loaded.config, name));
  yield { check: 'configuration', ok: true, detail: loaded.path, hint: null };
  const asked = new Map<string, Promise<Examination>>();
  const examined = (database: DatabaseView): Promise<Examination> => {
    const found = asked.get(database.name) ?? examine({ ...rest, loaded }, database);
    asked.set(database.name, found);
    return found;
  };
  const installation: Installation = { ...rest, loaded, databases, examined };
  // Side by side, and told in their order.
  const running = CHECKS.map((check) => check(installation));
  for (const findings of running) yield* await findings;
}

/** Everything that a recovery at a site needs of this machine, line by line as it is found. */
export async function* examineSite(
  loaded: LoadedConfig,
  site: string,
  rest: Pick<Patient, 'engines' | 'temporal' | 'patienceMs' | 'run'>,
): AsyncIterable<Finding> {
  const { config } = loaded;
  const names = Object.keys(config.databases);
  const databases = names.map((name) => describeDatabase(config, name));
  const takeovers = databases.flatMap((database) => {
    const takeover = database.config.takeover[site];
    return takeover === undefined ? [] : [{ database, takeover }];
  });
  yield { check: 'configuration', ok: true, detail: loaded.path, hint: null };
  yield takesOver(
    site,
    databases,
    takeovers.map(({ database }) => database.name),
  );
  const bases = new Map<string, Promise<Manifest>>();
  const baseOf = (database: DatabaseView): Promise<Manifest> => {
    const found = bases.get(database.name) ?? newestBase({ ...rest, loaded }, database);
    bases.set(database.name, found);
    return found;
  };
  const patient: Patient = { ...rest, loaded, site, databases, takeovers, baseOf };
  for (const check of SITE_CHECKS) yield* await check(patient);
}

/** A site may be for other restores only: that is no fault, but has to be known. */
function takesOver(site: string, databases: readonly DatabaseView[], taken: readonly string[]): Finding {
  const namesOf = (some: readonly DatabaseView[]) => some.map(({ name }) => name).join(', ');
  const others = databases.filter(({ name }) => !taken.includes(name));
  const unset = others.filter(({ bases }) => bases === 'physical');
  const never = others.filter(({ bases }) => bases !== 'physical');
  const not = [
    ...(unset.length === 0 ? [] : [`${namesOf(unset)}: databases.<name>.takeover.${site} is not set`]),
    ...(never.length === 0 ? [] : [`${namesOf(never)}: a disaster recovery of MySQL is not supported yet`]),
  ].map((each) => `; not ${each}`);
  return {
    check: 'takeover',
    ok: true,
    detail: `${taken.join(', ') || 'nothing'} can be taken over at ${site}${not.join('')}`,
    hint: null,
  };
}
