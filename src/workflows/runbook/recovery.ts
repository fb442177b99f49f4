import { isCancellation } from '@temporalio/workflow';
import type { Base } from '../../activities/recovery-types.ts';
import type { ReplayResult } from '../../engines/contract/restore.ts';
import type { Check } from '../../model/evidence.ts';
import { failureOf } from './failure.ts';
import type { Provisioned } from './instance.ts';
import type { Aim } from './retarget.ts';
import type { Runbook } from './runbook.ts';

/** An instance that is brought to a moment, and to another where people change the target. */
export class Recovery {
  readonly #runbook: Runbook;
  readonly #made: Provisioned;
  readonly #database: string;
  /** what the replay is told beside its target */
  readonly #manner: { durable?: true };
  #restored: string | null = null;

  constructor(runbook: Runbook, made: Provisioned, database: string, manner: { durable?: true } = {}) {
    this.#manner = manner;
    this.#runbook = runbook;
    this.#made = made;
    this.#database = database;
  }

  /** The backup whose files are on the instance's disk; null: none yet. */
  get backup(): string | null {
    return this.#restored;
  }

  /**
   * Restores, replays and checks. From the base that is there the replay goes on where it is; where that is no
   * way, for instance back in time, the files are restored again. With `tables` the check is of these alone, as
   * the restored copy names them, and without production.
   */
  async bringTo(
    aim: Aim,
    tables: string[] | null,
    options: { verifying?: true } = {},
  ): Promise<{ replayed: ReplayResult; checks: Check[] }> {
    if (this.#restored !== aim.base.backup) await this.#restore(aim.base);
    const replayed = await this.#replay(aim).catch(async (error: unknown) => {
      if (isCancellation(error) || failureOf(error).type !== 'InstanceLost') throw error;
      await this.#restore(aim.base);
      return this.#replay(aim);
    });
    const checks = await this.#runbook.step(
      'check',
      () => this.#made.host.checkInstance({ ...this.#what(aim.base), replayed, tables, ...options }),
      (result) => result.map((check) => `${check.name}: ${check.verdict}`).join(', '),
    );
    return { replayed, checks };
  }

  async #restore(base: Base): Promise<void> {
    this.#show(null);
    // Until it is over nothing is: what was there is being overwritten.
    this.#restored = null;
    await this.#runbook.step('restore', () => this.#made.host.restoreInstance(this.#what(base)));
    this.#restored = base.backup;
  }

  async #replay({ target, base }: Aim): Promise<ReplayResult> {
    this.#show(null);
    const replayed = await this.#runbook.step(
      'replay',
      () =>
        this.#made.host.replayInstance({
          ...this.#what(base),
          ...this.#manner,
          target,
          expiresAt: this.#made.keep(),
        }),
      ({ position, logNotices = [] }) => [position, ...logNotices].join('; '),
    );
    this.#show(replayed.url);
    return replayed;
  }

  #what(base: Base) {
    return { instance: this.#made.instance, database: this.#database, base };
  }

  /** Null while nobody can connect. */
  #show(url: string | null): void {
    if (this.#runbook.status.instance !== null) this.#runbook.status.instance.url = url;
  }
}
