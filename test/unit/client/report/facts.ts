import { type Held, type Report, reportOf } from '../../../../src/client/report/facts.ts';
import { describeDatabase } from '../../../../src/config/describe.ts';
import type { CatalogBackup } from '../../../../src/model/backup.ts';
import type { DrillRecord } from '../../../../src/model/drill.ts';
import { databaseText, exampleConfig } from '../../config/example.ts';

export const NOW = new Date('2026-06-15T12:00:00Z');
const at = (daysAgo: number) => new Date(NOW.getTime() - daysAgo * 86_400_000).toISOString();

const backup = (id: string, daysAgo: number, more: Partial<CatalogBackup> = {}): CatalogBackup => ({
  ...{ id, tier: 'physical', kind: 'full', startedAt: at(daysAgo + 0.01), finishedAt: at(daysAgo) },
  ...{ sizeBytes: 4_200_000_000, dependsOn: [], lockedUntil: at(daysAgo - 90), verified: null },
  ...more,
});

export const drill = (daysAgo: number, more: Partial<DrillRecord> = {}): DrillRecord => ({
  ...{
    formatVersion: 1,
    database: 'shop',
    workflowId: `drill/shop/${daysAgo}`,
    runbook: 'pointInTimeRecovery',
  },
  ...{ target: { time: at(daysAgo + 2) }, tables: ['public.orders'], site: 'here', startedAt: at(daysAgo) },
  ...{ finishedAt: at(daysAgo), outcome: 'met', recoverySeconds: 540, objectiveSeconds: 1_800, steps: [] },
  ...{ plan: null, earlier: null, reasons: [], evidence: null },
  ...more,
});

/** What whoever may name something could put into it. */
export const HOSTILE = `"><script src=//evil.example/x.js></script>&'\u0000`;

export const healthy = (): Held => ({
  catalog: {
    database: 'shop',
    backups: [
      backup('20260615-100000F_D', 0.1, { kind: 'diff', sizeBytes: 3e8 }),
      backup('20260614-210000F', 1, { verified: { verdict: 'pass', at: at(0.2) } }),
      backup('20260607-210000F', 8),
      backup('20260615T020000Z', 0.4, { tier: 'logical', verified: { verdict: 'pass', at: at(0.2) } }),
      backup('20260614T020000Z', 1.4, { tier: 'logical' }),
    ],
    intervals: [{ from: at(8), to: at(0.001) }],
    gaps: [],
    lastRecoverableAt: at(0.001),
    rpoSeconds: 86,
  },
  verifications: [
    { tier: 'logical', backup: '20260615T020000Z', verdict: 'pass', reasons: [], finishedAt: at(0.2) },
    { tier: 'physical', backup: '20260614-210000F', verdict: 'pass', reasons: [], finishedAt: at(0.21) },
  ],
  drills: [
    drill(10, { recoverySeconds: 480, earlier: { drills: 2, medianSeconds: 560, slowerBySeconds: -80 } }),
    drill(40, { runbook: 'selectiveTableRestore', target: null, recoverySeconds: 95 }),
    drill(71),
    drill(101, { outcome: 'skipped', recoverySeconds: null, runbook: null, target: null, tables: null }),
  ],
  decided: [
    {
      ...{ workflowId: 'pitr/shop/20260610T090000Z', runbook: 'pointInTimeRecovery', outcome: 'completed' },
      ...{ reason: 'INC-42: old orders are gone', requestedBy: 'anna', writtenAt: at(5) },
      plan: 'insert 5,831 rows in 2 tables of shop',
      decisions: [
        {
          ...{ name: 'import', by: 'ben', identity: null, action: 'approve', at: at(5.01), plan: 'sha256:1' },
          ...{ conflict: 'insert-missing', comment: 'looked at it with anna' },
        },
      ],
    },
  ],
});

/** Everything that can be wrong, with names that try to be more than names. */
export const troubled = (): Held => {
  const held = healthy();
  return {
    catalog: {
      ...held.catalog,
      backups: [backup('20260601-210000F', 14, { verified: { verdict: 'fail', at: at(2) } })],
      intervals: [
        { from: at(14), to: at(9) },
        { from: at(3), to: at(3) },
      ],
      gaps: [
        {
          ...{
            timeline: 1,
            firstMissing: '000000010000000000000007',
            lastMissing: '000000010000000000000009',
          },
          ...{ count: 3, after: at(9), before: at(3) },
        },
      ],
      lastRecoverableAt: at(3),
      rpoSeconds: 3 * 86_400,
    },
    verifications: [
      {
        ...{ tier: 'physical', backup: '20260601-210000F', verdict: 'fail', finishedAt: at(2) },
        reasons: [`integrity is fail: page 7 of ${HOSTILE} is damaged`],
      },
    ],
    drills: [
      drill(50, { outcome: 'failed', recoverySeconds: null, reasons: [`no ${HOSTILE}`], tables: [HOSTILE] }),
      drill(80, { outcome: 'missed', recoverySeconds: 2_460, reasons: ['the recovery takes 41m'] }),
      drill(110),
    ],
    decided: held.decided.map((run) => ({
      ...{ ...run, reason: HOSTILE, requestedBy: HOSTILE, plan: HOSTILE, workflowId: HOSTILE },
      decisions: run.decisions.map((one) => ({ ...one, by: HOSTILE, comment: HOSTILE, refused: HOSTILE })),
    })),
  };
};

const config = exampleConfig({
  databases:
    databaseText('shop', 'class: [financial, critical-saas]') +
    databaseText('users', 'class: critical-saas', 'db2') +
    databaseText('away', 'drill: off'),
});
export const reported = (name: string, held: Held | string) =>
  reportOf(describeDatabase(config, name), held, NOW);

export const report = (): Report => ({
  writtenAt: NOW.toISOString(),
  repository: { bucket: 'backups', prefix: '', region: 'eu-west-1' },
  databases: [
    reported('shop', healthy()),
    reported('users', troubled()),
    reported('away', `no answer from ${HOSTILE}`),
  ],
});
