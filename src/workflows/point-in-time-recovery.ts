import { uuid4, workflowInfo } from '@temporalio/workflow';
import type { InstanceReference } from '../activities/recovery-types.ts';
import { formatDuration, parseDuration } from '../model/duration.ts';
import { parseInput } from '../model/input.ts';
import { countOf } from '../model/plan.ts';
import type { RunbookStatus } from '../model/runbook.ts';
import { refuseUnsupported } from '../model/supported.ts';
import { describeTarget } from '../model/target.ts';
import { control, onHost, onSite } from './proxies.ts';
import { holdChange } from './runbook/change.ts';
import { orEnd } from './runbook/failure.ts';
import { type Findings, IMPORT_STEPS, importUnderDecision } from './runbook/import.ts';
import { removeInstance } from './runbook/instance.ts';
import { type Ending, Runbook } from './runbook/runbook.ts';

const HAND_OVER_BY_DEFAULT = '1h';

/**
 * Recovers a database to a moment on an isolated instance. With `tables`, brings their lost rows back into
 * production after a person approved exactly what will change; without, hands the instance over for a while.
 */
export async function pointInTimeRecovery(given: unknown): Promise<RunbookStatus> {
  const input = orEnd(() => parseInput('pointInTimeRecovery', given));
  const { database, target } = input;
  const keepMs = parseDuration(
    input.keepInstance ?? (input.tables === undefined ? HAND_OVER_BY_DEFAULT : '0s'),
  );
  const runbook = new Runbook({
    runbook: 'pointInTimeRecovery',
    database,
    reason: input.reason,
    requestedBy: input.requestedBy,
    steps: [
      ...['choose base', 'provision', 'restore', 'replay', 'check'],
      ...(input.tables === undefined ? [] : IMPORT_STEPS),
      ...(keepMs === 0 ? [] : ['hand over']),
      'remove instance',
    ],
  });
  const findings: Findings = { imported: null, chosen: null, checks: [] };
  let objectives = { rpoSeconds: 0, rtoSeconds: 0 };

  const work = async (): Promise<Ending> => {
    orEnd(() => refuseUnsupported(input));
    const settings = await control.describeRecovery({ database, site: input.site ?? null });
    objectives = settings.objectives;
    runbook.begin(settings.engine, {
      approval: settings.approval,
      parkLimitMs: settings.parkLimitMs,
      noWorkerRetryMs: settings.noWorkerAfterMs,
    });
    const release = input.tables === undefined ? null : await holdChange(runbook, database);

    const base = await runbook.step(
      'choose base',
      () => control.chooseBase({ database, target, tables: input.tables ?? null }),
      (chosen) =>
        `${chosen.backup}; ${countOf(chosen.logs, 'log')} up to ${describeTarget(target)}, every one present`,
    );

    const { workflowId, runId } = workflowInfo();
    const id = `${database}-${uuid4().slice(0, 8)}`;
    const made: { instance: InstanceReference | null } = { instance: null };
    runbook.cleanUpWith(() => removeInstance(runbook, id, settings, made.instance));
    // Before the instance goes: production is not touched any more, and its host may be away for an hour.
    if (release !== null) runbook.cleanUpWith(release);
    const instance = await runbook.step(
      'provision',
      () =>
        onSite(settings.site, settings.noWorkerAfterMs).provisionInstance({
          id,
          site: settings.site,
          database,
          base,
          // The reaper takes what has expired, owner or not: waiting for people must not expire it.
          lifetimeMs:
            settings.instanceLifetimeMs + settings.approval.timeLimitMs + settings.parkLimitMs + keepMs,
          owner: { workflowId, runId },
        }),
      (provisioned) => `${provisioned.id} on ${provisioned.host}`,
    );
    made.instance = instance;
    const host = onHost(instance.host, settings.noWorkerAfterMs);
    runbook.status.instance = { id, url: null, expiresAt: instance.expiresAt };

    await runbook.step('restore', () => host.restoreInstance({ instance, database, base }));
    const replayed = await runbook.step(
      'replay',
      () => host.replayInstance({ instance, database, base, target }),
      (result) => result.position,
    );
    runbook.status.instance.url = replayed.url;
    const found = await runbook.step(
      'check',
      () => host.checkInstance({ instance, database, base, replayed }),
      (result) => result.map((check) => `${check.name}: ${check.verdict}`).join(', '),
    );
    findings.checks.push(...found);

    if (base.tables !== null) {
      const conflict = input.conflict ?? 'insert-missing';
      const comparison = { instance, database, base, target, replayed, tables: base.tables, conflict };
      const ending = await importUnderDecision(runbook, host, comparison, findings);
      if (ending !== 'completed') return ending;
    }
    if (keepMs > 0) {
      // Until now it was the longest that the whole runbook may take.
      runbook.status.instance.expiresAt = new Date(Date.now() + keepMs).toISOString();
      await release?.();
      const command = `holdfast connect ${workflowId}`;
      await runbook.wait('hand over', keepMs, `${command}; for ${formatDuration(keepMs)} or until resume`);
    }
    return 'completed';
  };

  return runbook.run(work, () =>
    control.writeEvidence({
      runId: workflowInfo().runId,
      input,
      status: runbook.status,
      ...findings,
      objectives,
      recoverySeconds: runbook.recoverySeconds(),
    }),
  );
}
