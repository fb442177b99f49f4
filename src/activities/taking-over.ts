import { setTimeout as sleep } from 'node:timers/promises';
import { takeoverOf } from '../config/takeover.ts';
import type { ReplayResult, TakenOver } from '../engines/contract/restore.ts';
import type { ServerAccess } from '../model/access.ts';
import type { Check } from '../model/evidence.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import type { Target } from '../model/target.ts';
import type { Address } from '../model/topology.ts';
import { parseLsn } from '../model/wal.ts';
import { type Heartbeat, listHeartbeats, writeHeartbeat } from '../repository/heartbeats.ts';
import { listArchivedLogs } from '../repository/logs.ts';
import { listManifests } from '../repository/manifests.ts';
import type { Repository } from '../repository/repository.ts';
import {
  databaseOf,
  instancesOf,
  physicalOf,
  postgresOf,
  productionAccess,
  toolRepositoryOf,
  withRepository,
} from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { findInstance } from './instances.ts';
import { askApplication } from './questions.ts';
import type { Base, InstanceReference } from './recovery-types.ts';
import { asActivity } from './run.ts';
import { besideDump } from './takeover-checks.ts';
import { heartbeatCheck } from './verification-checks.ts';

const ARCHIVE_POLL_MS = 500;
const ARCHIVE_WAIT_MS = 120_000;

export interface TakenOverInstance extends TakenOver {
  /** without a password */
  url: string;
}

interface NewServer {
  database: string;
  instance: InstanceReference;
}

/** What happens at a restored server that is to become production, on the host that has its disk. */
export const createTakeoverActivities = (deps: Dependencies) => ({
  /** Of a drill: the copy can be written to, and stays isolated. */
  async promoteInstance(input: NewServer): Promise<{ timeline: number }> {
    return asActivity(async (run) => {
      const { engine } = databaseOf(deps, input.database);
      return physicalOf(engine, input.database).promote(await findInstance(deps, input.instance), run);
    });
  },

  /** Moves the restored server to where production lives, and makes it a primary that archives into this stanza. */
  async takeOverInstance(input: NewServer & { base: Base; stanza: string }): Promise<TakenOverInstance> {
    return asActivity(async (run) => {
      const { database, instance, base, stanza } = input;
      const { engine, config } = databaseOf(deps, database);
      const store = instancesOf(deps, instance.site);
      const found = await findInstance(deps, instance);
      if (found.role === undefined) {
        run.progress({ phase: 'stopping the restored server' });
        await engine.stop(found, run);
      }
      const place = await store.moveToProduction(instance.id, postgresOf(database, config).systemUser);
      const {
        address,
        port,
        listen = address,
        hba,
        settings,
        tls = null,
      } = takeoverOf(deps.config.config, database, instance.site);
      const server = await physicalOf(engine, database).takeOver(
        {
          ...{ place, name: database, stanza, serverMajor: base.serverMajor },
          repository: await toolRepositoryOf(deps, 'backup'),
          ...{ user: config.connection.user, database: config.connection.database },
          server: { listen, port, hba, settings, tls },
        },
        run,
      );
      const url = urlOf(server.access, { host: address, port });
      await store.update(instance.id, { url });
      return { ...server, url };
    });
  },

  /** Closes a log of the new server and waits until it is in the repository: what is committed now is kept. */
  async proveArchive(input: NewServer & { stanza: string; server: TakenOver }): Promise<{ log: string }> {
    return asActivity((run) =>
      withRepository(deps, 'backup', async (repository) => {
        const { database, stanza, server } = input;
        const closed = await databaseOf(deps, database).engine.closeLog(server.access, run);
        await writeHeartbeat(repository, database, closed);
        run.progress({ phase: `waiting for log ${closed.log} in the repository` });
        const isThere = async () =>
          (await listArchivedLogs(repository, stanza)).some(({ name }) => name === closed.log);
        const deadline = Date.now() + ARCHIVE_WAIT_MS;
        while (!(await isThere())) {
          if (Date.now() > deadline) throw notArchived(closed.log, stanza);
          await sleep(ARCHIVE_POLL_MS, undefined, { signal: run.signal });
        }
        return { log: closed.log };
      }),
    );
  },

  /** Whether the new server is the database: its definitions, rows and last commit, and what the application says. */
  async checkNewServer(
    input: NewServer & { base: Base; target: Target; replayed: ReplayResult; access: ServerAccess },
  ): Promise<Check[]> {
    return asActivity((run) =>
      withRepository(deps, 'restore', async (repository) => {
        const { database, base, replayed, access } = input;
        const { engine, verify, config } = databaseOf(deps, database);
        const place = await findInstance(deps, input.instance);
        const heartbeat = heartbeatCheck(
          await passedHeartbeats(repository, input),
          // How old it is was said as the loss, and decided on.
          {
            ...{ lastLog: base.lastLog, timeline: base.timeline, lsn: replayed.lsn },
            ...{ rpoMs: Number.POSITIVE_INFINITY, now: new Date() },
          },
        );
        const dumps = (await listManifests(repository, database)).filter(({ tier }) => tier === 'logical');
        return [
          heartbeat,
          ...(await besideDump(
            { engine, repository, manifest: dumps[0] ?? null, db: config.connection.database },
            { access, bounds: verify?.bounds ?? null },
            run,
          )),
          ...(await questionsOf(deps, database, access, place.user, run)),
        ];
      }),
    );
  },

  /** The application's questions once more, to the address that clients reach. */
  async checkServing(input: NewServer & { address: Address }): Promise<Check[]> {
    return asActivity(async (run) => {
      const place = await findInstance(deps, input.instance);
      const access = { ...(await productionAccess(deps, input.database)), ...input.address };
      return questionsOf(deps, input.database, access, place.user, run);
    });
  },

  /** From now on it is production: nobody removes it. */
  async settleProduction(input: NewServer): Promise<void> {
    return asActivity(async () => {
      await instancesOf(deps, input.instance.site).update(input.instance.id, {
        role: 'production',
        kept: true,
      });
    });
  },

  /** It did not become production: it stays for people to look at until it expires. */
  async offerInstance(input: NewServer & { expiresAt: string }): Promise<void> {
    return asActivity(async () => {
      const { expiresAt } = input;
      await instancesOf(deps, input.instance.site).update(input.instance.id, { kept: true, expiresAt });
    });
  },
});

function notArchived(log: string, stanza: string): HoldfastError {
  return new HoldfastError('RepositoryUnavailable', `log ${log} did not reach stanza ${stanza} in time`, {
    hint: 'see pg_stat_archiver and the server log of the new server; resume when its archiver works',
  });
}

/** Those that the copy has to hold: the end of the logs passes them all, another target those before it. */
async function passedHeartbeats(
  repository: Repository,
  { database, target, replayed }: { database: string; target: Target; replayed: ReplayResult },
): Promise<Heartbeat[]> {
  const all = await listHeartbeats(repository, database);
  if ('latest' in target) return all;
  return all.filter(({ position }) => parseLsn(position) <= parseLsn(replayed.lsn));
}

/** Without a password. */
const urlOf = ({ user, database }: ServerAccess, { host, port }: Address): string =>
  `postgresql://${encodeURIComponent(user)}@${host}:${port}/${encodeURIComponent(database)}`;

function questionsOf(
  deps: Dependencies,
  database: string,
  access: ServerAccess,
  user: string | null,
  run: Run,
): Promise<Check[]> {
  const { engine, verify } = databaseOf(deps, database);
  return askApplication(verify?.health ?? [], { engine, access, user }, run);
}
