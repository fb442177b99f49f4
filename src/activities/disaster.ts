import { disasterApprovalOf } from '../config/describe.ts';
import { takeoverOf } from '../config/takeover.ts';
import type { TakenOver } from '../engines/contract/restore.ts';
import { planDigest } from '../engines/plan-digest.ts';
import { describeLoss, type Loss } from '../model/disaster.ts';
import type { Check } from '../model/evidence.ts';
import { countOf, type Plan } from '../model/plan.ts';
import { describeTarget, type Target } from '../model/target.ts';
import { type Address, formatAddress, type Topology } from '../model/topology.ts';
import { readRecoverability } from '../repository/catalog.ts';
import { lossOf } from '../repository/loss.ts';
import { readTopology, removeTopology, writeTopology } from '../repository/topology.ts';
import { databaseOf, postgresOf, withRepository } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { askOldServer, type OldServer } from './old-server.ts';
import { recoverySettings } from './planning.ts';
import type { Base, InstanceReference, RecoverySettings } from './recovery-types.ts';
import { asActivity } from './run.ts';

/** What a disaster recovery has to know of the configuration. */
export interface DisasterSettings extends RecoverySettings {
  /** where clients will reach the new server */
  address: Address;
  /** whether a command fences the old server; else whoever approves says so */
  fences: boolean;
}

/** What an endpoint says now; null: nothing. */
export interface EndpointNow {
  name: string;
  address: Address | null;
}

/** Light work of a disaster recovery: what is lost, what will be done, where the database lives. */
export const createDisasterActivities = (deps: Dependencies) => ({
  /** Throws InvalidConfiguration where the site is not made to take this database over. */
  async describeDisaster(input: { database: string; site: string }): Promise<DisasterSettings> {
    return asActivity(async () => {
      const { config } = deps.config;
      const { address, port } = takeoverOf(config, input.database, input.site);
      return {
        ...recoverySettings(deps, input),
        approval: disasterApprovalOf(config, databaseOf(deps, input.database).config),
        address: { host: address, port },
        fences: databaseOf(deps, input.database).config.fence !== undefined,
      };
    });
  },

  async assessLoss(input: { database: string }): Promise<{ loss: Loss; oldServer: OldServer }> {
    return asActivity(async (run) => {
      run.progress({ phase: 'reading the catalog' });
      const loss = await withRepository(deps, 'restore', async (repository) => {
        const known = await readRecoverability(repository, input.database, databaseOf(deps, input.database));
        return lossOf(known, { now: new Date() });
      });
      run.progress({ phase: 'asking the old server' });
      return { loss, oldServer: await askOldServer(deps, input.database, run) };
    });
  },

  /** The first plan: what is lost, and what will be done. */
  async planDisaster(input: {
    database: string;
    site: string;
    target: Target;
    base: Base;
    loss: Loss;
    oldServer: OldServer;
    address: Address;
    fences: boolean;
    switches: boolean;
  }): Promise<Plan> {
    return asActivity(async () => {
      const { database, base, loss, oldServer } = input;
      const { endpoints } = databaseOf(deps, database).config;
      const [reached, lost] =
        'latest' in input.target
          ? ['the end of its logs', describeLoss(loss)]
          : [describeTarget(input.target), lostAfter(loss)];
      return digested({
        summary: `recover ${database} at ${input.site} to ${reached}: ${lost}`,
        backup: base.backup,
        target: input.target,
        position: null,
        estimateSeconds: base.estimateSeconds,
        notices: [
          `the old server: ${oldServer.detail}`,
          input.fences
            ? 'the configured command will fence the old server (fence.command)'
            : 'no command fences the old server: whoever approves says that nobody can write to it any more',
          `${countOf(base.logs, 'log')} are replayed; the new server will be at ${formatAddress(input.address)}, archives into a stanza of its own, and is backed up at once`,
          !input.switches || endpoints.length === 0
            ? 'no endpoint will be switched: clients have to be pointed at the new server by hand'
            : `before ${countOf(endpoints.length, 'endpoint')} of clients are switched, a second decision is asked for`,
          ...base.notices,
        ],
      });
    });
  },

  /** The second plan: where clients are sent, and what was found of the new server. */
  async planSwitch(input: {
    database: string;
    base: Base;
    target: Target;
    position: string;
    address: Address;
    endpoints: EndpointNow[];
    checks: Check[];
    /** a switch that was taken back, and why */
    failed: { tries: number; why: string } | null;
    notices: string[];
  }): Promise<Plan> {
    return asActivity(async () => {
      const { database, endpoints, checks, failed } = input;
      const to = formatAddress(input.address);
      const doubts = checks.filter(({ verdict }) => verdict !== 'pass');
      return digested({
        summary:
          endpoints.length === 0
            ? `take ${to} as ${database}: no endpoint is switched`
            : `switch ${countOf(endpoints.length, 'endpoint')} of ${database} to ${to}`,
        backup: input.base.backup,
        target: input.target,
        position: input.position,
        estimateSeconds: endpoints.length,
        endpoints: endpoints.map(({ name, address }) => ({
          ...{ name, from: address === null ? null : formatAddress(address), to },
        })),
        notices: [
          ...(failed === null
            ? []
            : [`tried ${countOf(failed.tries, 'time')} and taken back: ${failed.why}`]),
          `${countOf(checks.length - doubts.length, 'check')} of the new server passed`,
          ...doubts.map((check) => `${check.name}: ${check.verdict}: ${check.detail}`),
          ...input.notices,
        ],
      });
    });
  },

  /** Where the database will live, and where it lives now: null is where the configuration says. */
  async prepareTopology(input: {
    database: string;
    workflowId: string;
    instance: InstanceReference;
    base: Base;
    address: Address;
    stanza: string;
    server: TakenOver;
  }): Promise<{ before: Topology | null; after: Topology }> {
    return asActivity(() =>
      withRepository(deps, 'backup', async (repository) => {
        const { database, server, address, stanza } = input;
        const before = await readTopology(repository, database);
        const now = databaseOf(deps, database);
        const at = new Date().toISOString();
        const { host, port } = now.config.connection;
        const left = {
          ...{ stanza: now.stanza, host: now.config.host, address: { host, port }, until: at },
          timeline: input.base.timeline,
        };
        return {
          before,
          after: {
            ...{ formatVersion: 1, database, by: input.workflowId, at, address, stanza },
            ...{ site: input.instance.site, host: input.instance.host },
            ...{ dataDirectory: server.dataDirectory, socketDirectory: server.socketDirectory },
            systemUser: postgresOf(database, now.config).systemUser,
            ...{ systemIdentifier: server.systemIdentifier, timeline: server.timeline },
            former: [left, ...(before?.former ?? [])],
          },
        };
      }),
    );
  },

  /** From now on schedules, queues and catalog follow; null: back to where the configuration says. */
  async keepTopology(input: { database: string; topology: Topology | null }): Promise<void> {
    return asActivity(() =>
      withRepository(deps, 'backup', (repository) =>
        input.topology === null
          ? removeTopology(repository, input.database)
          : writeTopology(repository, input.topology),
      ),
    );
  },
});

/** Of a target that people have chosen: more may be lost than must be. */
const lostAfter = ({ lastRecoverableAt }: Loss): string =>
  `what was committed after it is lost${lastRecoverableAt === null ? '' : `, though the logs reach to ${lastRecoverableAt}`}`;

function digested(plan: Omit<Plan, 'digest' | 'conflict' | 'changes' | 'rules'>): Plan {
  const whole = { ...plan, conflict: null, changes: [], rules: [] };
  return { ...whole, digest: planDigest(whole, []) };
}
