import { type DatabaseView, disasterApprovalOf } from '../../config/describe.ts';
import type { TakeoverConfig } from '../../config/schema/database.ts';
import type { Config } from '../../config/schema.ts';
import { productionFolderOf } from '../../config/takeover.ts';
import type { ApprovalPolicy } from '../../model/decision.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../../model/queue.ts';
import type { Measured } from './measured.ts';

/** Everything that the documents say about a database, without a secret. */
export interface RunbookFacts {
  database: DatabaseView;
  sites: { name: string; hosts: string[]; directory: string; user: string }[];
  queues: string[];
  /** where the database can be taken over */
  takeovers: { site: string; takeover: TakeoverConfig; production: string }[];
  disasterApproval: ApprovalPolicy;
  repository: { bucket: string; prefix: string; region: string; endpoint: string | null };
  temporal: { address: string; namespace: string };
  protection: string[];
  parkLimit: string;
  /** options that reach the same configuration again, such as `--config x.yaml`; put behind each command */
  again: readonly string[];
  /** null: the repository could not be asked, and `measuredNote` says why */
  measured: Measured[] | null;
  measuredNote: string | null;
  writtenAt: Date;
}

/** What the configuration alone says; times of earlier runs are the caller's to read. */
export function factsOf(
  config: Config,
  database: DatabaseView,
  rest: Pick<RunbookFacts, 'temporal' | 'protection' | 'again' | 'measured' | 'measuredNote' | 'writtenAt'>,
): RunbookFacts {
  const { bucket, prefix, region, endpoint } = config.repository;
  const sites = Object.entries(config.sites).map(([name, { hosts, directory, user }]) => ({
    ...{ name, hosts, directory, user },
  }));
  const hosts = new Set([database.config.host, ...sites.flatMap((site) => site.hosts)]);
  return {
    ...rest,
    database,
    sites,
    queues: [CONTROL_QUEUE, ...[...hosts].map(hostQueue), ...sites.map(({ name }) => siteQueue(name))],
    takeovers: Object.entries(database.config.takeover).map(([site, takeover]) => ({
      ...{ site, takeover, production: productionFolderOf(config, site) },
    })),
    disasterApproval: disasterApprovalOf(config, database.config),
    repository: { bucket, prefix, region, endpoint: endpoint ?? null },
    parkLimit: config.parkLimit,
  };
}
