import { workflowInfo } from '@temporalio/workflow';
import type { Base } from '../activities/recovery-types.ts';
import { formatDuration, parseDuration } from '../model/duration.ts';
import { parseExport, refuseExport } from '../model/export.ts';
import { parseInput } from '../model/input.ts';
import type { RunbookStatus } from '../model/runbook.ts';
import type { Target } from '../model/target.ts';
import { control } from './proxies.ts';
import { aimAt, followAims } from './runbook/aims.ts';
import { holdChange } from './runbook/change.ts';
import { beginRecovery, leaveEvidence, noFindings } from './runbook/evidence.ts';
import { exportRows, exportSteps } from './runbook/export.ts';
import { orEnd } from './runbook/failure.ts';
import { IMPORT_STEPS, importUnderDecision } from './runbook/import.ts';
import { provisionInstance } from './runbook/instance.ts';
import { Recovery } from './runbook/recovery.ts';
import type { Aim } from './runbook/retarget.ts';
import { type Ending, Runbook } from './runbook/runbook.ts';
import { thawIfArchived } from './runbook/thaw.ts';

const HAND_OVER_BY_DEFAULT = '1h';

/**
 * Recovers a database to a moment on an isolated instance. With `tables`, brings their lost rows back into
 * production after a person approved exactly what will change; without, hands the instance over for a while.
 * With `export`, writes the tables to files instead, and asks nobody: production does not change. Whoever is asked may name another target instead.
 */
export async function pointInTimeRecovery(given: unknown): Promise<RunbookStatus> {
  const input = orEnd(() => parseInput('pointInTimeRecovery', given));
  const { database } = input;
  const tables = input.tables ?? null;
  const order = input.export === undefined ? null : parseExport(input.export);
  const rule = input.conflict ?? null;
  // Whole tables of the restored copy: production may be gone.
  const asked = order !== null && rule === null ? null : tables;
  const keepMs = parseDuration(input.keepInstance ?? (tables === null ? HAND_OVER_BY_DEFAULT : '0s'));
  const made: { recovery: Recovery | null } = { recovery: null };
  const choose = (target: Target): Promise<Base> =>
    control.chooseBase({ database, target, tables: asked, preferred: made.recovery?.backup ?? null });
  /** what every target needs anew */
  const again = [
    ...['replay', 'check'],
    ...(tables === null ? [] : order === null ? IMPORT_STEPS : exportSteps(rule)),
    ...(keepMs === 0 ? [] : ['hand over']),
  ];
  const runbook = new Runbook({
    runbook: 'pointInTimeRecovery',
    database,
    reason: input.reason,
    requestedBy: input.requestedBy,
    steps: ['choose base', 'provision', 'restore', ...again, 'remove instance'],
    choose,
  });
  const findings = noFindings();

  const work = async (): Promise<Ending> => {
    orEnd(() => refuseExport(input));
    const changes = tables !== null && order === null;
    const settings = await beginRecovery(runbook, findings, { site: input.site, asks: changes });
    const release = !changes ? null : await holdChange(runbook, database);
    const first = await aimAt(runbook, input.target, () => choose(input.target));
    await thawIfArchived(runbook, { database, base: first.base }, settings);

    const { base } = first;
    const provisioned = await provisionInstance(runbook, settings, { database, base, release, keepMs });
    const { instance, host, keep } = provisioned;
    const recovery = new Recovery(runbook, provisioned, database);
    made.recovery = recovery;

    /** What the instance is for, once it is at the target. */
    const use = async (aim: Aim): Promise<Ending | 'retargeted'> => {
      if (aim !== first) await thawIfArchived(runbook, { database, base: aim.base }, settings);
      const { replayed, checks } = await recovery.bringTo(aim, asked === null ? tables : null);
      findings.checks = checks;
      const copy = { instance, database, ...aim, replayed, tables: aim.base.tables ?? tables ?? [] };
      if (order !== null) {
        const what = { ...copy, conflict: rule };
        findings.exported = await exportRows(runbook, host, what, order, keep);
      } else if (changes) {
        const comparison = { ...copy, conflict: rule ?? 'insert-missing' };
        const ending = await importUnderDecision(runbook, host, comparison, findings, keep);
        if (ending !== 'completed') return ending;
      }
      if (keepMs === 0) return 'completed';
      // Until now it was the longest that the whole runbook may take.
      runbook.status.instance = {
        id: instance.id,
        url: replayed.url,
        expiresAt: new Date(Date.now() + keepMs).toISOString(),
      };
      await release?.();
      const detail = `holdfast connect ${workflowInfo().workflowId}; for ${formatDuration(keepMs)} or until resume`;
      const over = await runbook.handOver('hand over', keepMs, { detail, mayRetarget: tables === null });
      return over === 'over' ? 'completed' : over;
    };
    return followAims(runbook, again, first, use);
  };

  return runbook.run(work, () => leaveEvidence(runbook, input, findings));
}
