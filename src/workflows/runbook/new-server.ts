import {
  CancellationScope,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { DisasterSettings } from '../../activities/disaster.ts';
import type { TakenOverInstance } from '../../activities/taking-over.ts';
import type { ReplayResult } from '../../engines/contract/restore.ts';
import type { ServerAccess } from '../../model/access.ts';
import { describeAchieved } from '../../model/disaster.ts';
import type { Check } from '../../model/evidence.ts';
import { countOf } from '../../model/plan.ts';
import { type Address, formatAddress, type Topology } from '../../model/topology.ts';
import { stampOf, workflowIdFor } from '../../model/workflow-id.ts';
import { physicalBackup } from '../physical-backup.ts';
import { cleanUpOnHost, cleanUpRepository, control, place } from '../proxies.ts';
import { isDrill } from './drill.ts';
import type { Findings } from './evidence.ts';
import { endWith } from './failure.ts';
import type { Provisioned } from './instance.ts';
import type { Aim } from './retarget.ts';
import type { Runbook } from './runbook.ts';

export interface Recovered {
  database: string;
  provisioned: Provisioned;
  settings: DisasterSettings;
  aim: Aim;
  replayed: ReplayResult;
}

/**
 * A restored server on its way to be production. Until it is settled it can be given up: then the database lives where
 * it lived before, and the server stays for a while, for people to look at. In a drill it stays an isolated instance.
 */
export class NewServer {
  readonly recovered: Recovered;
  readonly #runbook: Runbook;
  readonly #findings: Findings;
  #server: TakenOverInstance | null = null;
  #topology: { before: Topology | null; after: Topology } | null = null;
  #settled = false;
  /** what leads to it: as long as anything does, it must not be removed */
  readonly leads = new Set<'topology' | 'endpoints'>();
  /** of the whole run: who cancels it does not want the server any more */
  readonly #scope = CancellationScope.current();

  constructor(runbook: Runbook, findings: Findings, recovered: Recovered) {
    this.recovered = recovered;
    this.#runbook = runbook;
    this.#findings = findings;
  }

  get address(): Address {
    return this.recovered.settings.address;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** How it is known from outside; null in a drill. */
  get identity(): Pick<TakenOverInstance, 'systemIdentifier' | 'timeline'> | null {
    return this.#server;
  }

  /** What of the old server did not come along. */
  get notices(): string[] {
    return this.#server?.notices ?? [];
  }

  get what() {
    const { database, provisioned } = this.recovered;
    return { database, instance: provisioned.instance };
  }

  /** Ends the recovery, on a new timeline, where production lives. */
  async takeOver(): Promise<void> {
    const { provisioned, aim, settings } = this.recovered;
    const { host } = provisioned;
    if (isDrill()) {
      await this.#runbook.step(
        'take over',
        () => host.promoteInstance(this.what),
        ({ timeline }) => `promoted in a drill, isolated, on timeline ${timeline}`,
      );
      return;
    }
    provisioned.insteadOfRemoval(() => this.#leave());
    const stanza = `${this.what.database}-${stampOf(new Date()).toLowerCase()}`;
    const server = await this.#runbook.step(
      'take over',
      () => host.takeOverInstance({ ...this.what, base: aim.base, stanza }),
      ({ timeline, switchedAt }) =>
        `at ${formatAddress(settings.address)}, timeline ${timeline} from ${switchedAt}`,
    );
    this.#server = server;
    const { timeline, serviceFile } = server;
    this.#record({ server: { address: settings.address, timeline, stanza, serviceFile } });
    const { status } = this.#runbook;
    if (status.instance !== null) status.instance.url = server.url;
  }

  /** Archive, schedules and a backup of its own, at once: a second disaster must not find it bare. */
  async protect(): Promise<void> {
    const server = this.#server;
    const { stanza } = this.#findings.disaster?.server ?? {};
    if (server === null || stanza === undefined) return;
    const { provisioned, aim } = this.recovered;
    const { database } = this.what;
    const backup = workflowIdFor('physicalBackup', database, new Date());
    await this.#runbook.step(
      'protect',
      async () => {
        const { log } = await provisioned.host.proveArchive({ ...this.what, stanza, server });
        // Once: a second try after parking would find this server as the one that is left.
        if (this.#topology === null) {
          const { workflowId } = workflowInfo();
          const what = { ...this.what, workflowId, base: aim.base, address: this.address, stanza, server };
          const topology = await control.prepareTopology(what);
          this.#topology = topology;
          this.#runbook.cleanUpWith(() => this.#giveBack(topology.before, backup));
        }
        this.leads.add('topology');
        await place.keepTopology({ database, topology: this.#topology.after });
        await place.applySchedules({});
        await startChild(physicalBackup, {
          workflowId: backup,
          args: [{ database, kind: 'full' }],
          parentClosePolicy: ParentClosePolicy.ABANDON,
          staticSummary: `the first backup of ${database} at ${provisioned.instance.site}`,
        });
        return log;
      },
      (log) => `log ${log} is archived in stanza ${stanza}; full backup ${backup}`,
    );
  }

  /** Whether it is the database. What fails is for people to judge; where none are asked, it ends the recovery. */
  async verify(): Promise<Check[]> {
    const { provisioned, aim, replayed, settings } = this.recovered;
    const access: ServerAccess = this.#server?.access ?? replayed.access;
    const checks = await this.#runbook.step(
      'verify',
      () => provisioned.host.checkNewServer({ ...this.what, ...aim, replayed, access }),
      (found) => found.map(({ name, verdict }) => `${name}: ${verdict}`).join(', '),
    );
    const failed = checks.filter(({ verdict }) => verdict === 'fail');
    if (failed.length > 0 && (settings.approval.people === 0 || isDrill())) {
      const nobody = isDrill() ? 'a drill asks nobody' : 'nobody is asked (approval.disaster)';
      throw endWith({
        type: 'CheckFailed',
        message: `${countOf(failed.length, 'check')} of the new server failed, and ${nobody}: ${failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ')}`,
        hint: 'clients were not switched; look at the new server (holdfast connect) and at an earlier target',
      });
    }
    return checks;
  }

  /** It is production now. */
  async settle(startedAt: Date): Promise<void> {
    const { provisioned, settings } = this.recovered;
    const { database } = this.what;
    await this.#runbook.step('settle', () => provisioned.host.settleProduction(this.what));
    this.#settled = true;
    this.#runbook.status.instance = null;
    const rpoSeconds = this.#lostSeconds();
    const rtoSeconds = (Date.now() - startedAt.getTime()) / 1_000;
    this.#record({ achieved: { rpoSeconds, rtoSeconds } });
    const service = this.#server === null ? '' : `; its service file: ${this.#server.serviceFile}`;
    this.#runbook.explain(
      `${database} lives at ${provisioned.instance.site} now, ${formatAddress(settings.address)}${service}\n${describeAchieved({ rpoSeconds, rtoSeconds }, settings.objectives)}`,
    );
  }

  /** From the last moment that was recovered to when the loss was stated; null: not known. */
  #lostSeconds(): number | null {
    const { aim, replayed } = this.recovered;
    const loss = this.#findings.disaster?.loss;
    // At the end of the logs of an idle server the last commit is long ago, and yet nothing after it is lost.
    const proved = 'latest' in aim.target ? (loss?.lastRecoverableAt ?? null) : null;
    const moments = [proved, replayed.lastTransactionAt].flatMap((at) => (at === null ? [] : Date.parse(at)));
    if (loss === undefined || moments.length === 0) return null;
    return Math.max(0, (Date.parse(loss.at) - Math.max(...moments)) / 1_000);
  }

  /** The database lives where it lived before; nothing more is backed up from here. */
  async #giveBack(before: Topology | null, backup: string): Promise<void> {
    if (this.#settled) return;
    await getExternalWorkflowHandle(backup)
      .cancel()
      .catch(() => {});
    await cleanUpRepository.keepTopology({ database: this.what.database, topology: before });
    this.leads.delete('topology');
    await cleanUpRepository.applySchedules({});
  }

  async #leave(): Promise<void> {
    if (this.#settled) return;
    const { provisioned, settings } = this.recovered;
    const unwanted = this.#scope.consideredCancelled || this.#server === null;
    if (unwanted && this.leads.size === 0) return provisioned.remove();
    const expiresAt = new Date(Date.now() + settings.instanceLifetimeMs).toISOString();
    await cleanUpOnHost(provisioned.instance.host).offerInstance({ ...this.what, expiresAt });
    const { status } = this.#runbook;
    if (status.instance !== null) status.instance.expiresAt = expiresAt;
    this.#runbook.add(
      `the new server at ${formatAddress(settings.address)} is kept until ${expiresAt}: holdfast connect ${workflowInfo().workflowId}`,
    );
  }

  #record(part: Partial<NonNullable<Findings['disaster']>>): void {
    const { disaster } = this.#findings;
    if (disaster !== undefined) this.#findings.disaster = { ...disaster, ...part };
  }
}
