import { parseExport, refuseExport } from '../model/export.ts';
import { parseInput } from '../model/input.ts';
import type { RunbookStatus } from '../model/runbook.ts';
import { control } from './proxies.ts';
import { holdChange } from './runbook/change.ts';
import { beginRecovery, leaveEvidence, noFindings } from './runbook/evidence.ts';
import { exportRows, exportSteps } from './runbook/export.ts';
import { orEnd } from './runbook/failure.ts';
import { IMPORT_STEPS, importUnderDecision } from './runbook/import.ts';
import { provisionInstance } from './runbook/instance.ts';
import { type Ending, Runbook } from './runbook/runbook.ts';
import { thawIfArchived } from './runbook/thaw.ts';

/**
 * Brings rows of single tables back from a logical backup: only these tables are restored, with what belongs to them,
 * and compared with production; what will change is asked for exactly. With `export`, writes them to files instead.
 */
export async function selectiveTableRestore(given: unknown): Promise<RunbookStatus> {
  const input = orEnd(() => parseInput('selectiveTableRestore', given));
  const { database } = input;
  const order = input.export === undefined ? null : parseExport(input.export);
  const rule = input.conflict ?? null;
  // Whole tables of the restored copy: production may be gone.
  const asked = order !== null && rule === null ? null : input.tables;
  const runbook = new Runbook({
    runbook: 'selectiveTableRestore',
    database,
    reason: input.reason,
    requestedBy: input.requestedBy,
    steps: [
      ...['choose backup', 'provision', 'restore', 'check'],
      ...(order === null ? IMPORT_STEPS : exportSteps(rule)),
      'remove instance',
    ],
  });
  const findings = noFindings();

  const work = async (): Promise<Ending> => {
    orEnd(() => refuseExport(input));
    const settings = await beginRecovery(runbook, findings, { site: input.site, asks: order === null });
    const release = order === null ? await holdChange(runbook, database) : null;
    const base = await runbook.step(
      'choose backup',
      () => control.chooseLogicalBackup({ database, backup: input.backup ?? null, tables: asked }),
      ({ backup }) => backup,
    );
    await thawIfArchived(runbook, { database, base }, settings);
    const { instance, host, keep } = await provisionInstance(runbook, settings, { database, base, release });
    const tables = base.tables ?? input.tables;
    const what = { instance, database, base, tables };
    const restored = await runbook.step(
      'restore',
      () => host.restoreTables({ ...what, expiresAt: keep() }),
      (copy) => copy.tables.join(', '),
    );
    if (runbook.status.instance !== null) runbook.status.instance.url = restored.url;
    findings.checks = await runbook.step(
      'check',
      () => host.checkRestoredTables({ ...what, restored, besideProduction: asked !== null }),
      (checks) => checks.map((check) => `${check.name}: ${check.verdict}`).join(', '),
    );
    const copy = {
      ...what,
      base: { ...base, notices: [...base.notices, ...restored.notices] },
      target: { backup: base.backup },
      replayed: restored,
    };
    if (order === null) {
      const comparison = { ...copy, conflict: rule ?? 'insert-missing' };
      const ending = await importUnderDecision(runbook, host, comparison, findings, keep);
      if (ending === 'retargeted') throw new Error('a selective restore has no target');
      return ending;
    }
    findings.exported = await exportRows(runbook, host, { ...copy, conflict: rule }, order, keep);
    return 'completed';
  };

  return runbook.run(work, () => leaveEvidence(runbook, input, findings));
}
