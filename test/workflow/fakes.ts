import type { createPlanningActivities } from '../../src/activities/planning.ts';
import type { createRecoveryActivities } from '../../src/activities/recovery.ts';
import type { Base, Comparison, RecoverySettings } from '../../src/activities/recovery-types.ts';
import type { createThawingActivities } from '../../src/activities/thawing.ts';
import type { createUndoActivities } from '../../src/activities/undoing.ts';
import type { createVerifyingActivities } from '../../src/activities/verifying.ts';
import type { ReplayResult } from '../../src/engines/contract/restore.ts';
import type { Evidence } from '../../src/model/evidence.ts';
import {
  CONFLICT_RULES,
  type ConflictRule,
  type PlanRule,
  type TableChange,
  UNDO_RULES,
} from '../../src/model/plan.ts';
import { comparisonWith } from '../comparison.ts';

export type RunbookActivities = ReturnType<typeof createPlanningActivities> &
  ReturnType<typeof createRecoveryActivities> &
  ReturnType<typeof createThawingActivities> &
  ReturnType<typeof createUndoActivities> &
  ReturnType<typeof createVerifyingActivities>;

export interface Fakes {
  activities: RunbookActivities;
  /** names of the activities in the order in which they were called */
  calls: string[];
  /** what an activity was called with, each time */
  inputsOf: <T extends keyof RunbookActivities>(name: T) => Parameters<RunbookActivities[T]>[0][];
  replayed: ReplayResult;
  evidence: () => Omit<Evidence, 'formatVersion' | 'workflowId' | 'writtenAt'> | null;
}

const REPLAYED = {
  access: { host: '/socket', port: 5432, user: 'postgres', password: null, database: 'shop', tls: null },
  url: 'postgresql://postgres@/shop?host=/socket',
  position: 'before commit of transaction 742',
  lsn: '0/5000148',
  lastTransactionAt: '2026-01-31T14:04:58Z',
};

/** `refused`: the rules that cannot be chosen, and why. */
export function comparisonOf(
  inserts: number,
  digest = `digest-${inserts}`,
  refused: Partial<Record<ConflictRule, string>> = {},
): Comparison {
  const change = { table: 'public.orders', inserts, updates: 0, deletes: 0, orphans: 0, uniqueClashes: 0 };
  return {
    plan: {
      digest,
      summary: `insert ${inserts} rows`,
      backup: '20260131-020000F',
      target: { time: '2026-01-31T14:05:00Z' },
      position: REPLAYED.position,
      conflict: 'insert-missing',
      estimateSeconds: 3,
      changes: [change],
      rules: CONFLICT_RULES.map((conflict) => ({
        conflict,
        summary: `${conflict} ${inserts} rows`,
        changes: [change],
        notices: [],
        refusal: refused[conflict] ?? null,
      })),
      notices: [],
    },
    comparisons: [comparisonWith(change)],
  };
}

/** Of 25 inserted rows `changed` are not as the import left them. */
export function undoComparisonOf(changed: number, conflict: PlanRule = 'keep-changed'): Comparison {
  const { plan, comparisons } = comparisonOf(0, `digest-${conflict}-${changed}`);
  const change = (deletes: number) => ({ ...(plan.changes[0] as TableChange), deletes });
  const own = change(conflict === 'keep-changed' ? 25 - changed : 25);
  return {
    plan: {
      ...plan,
      backup: null,
      target: null,
      position: 'the import of pitr/shop/1',
      conflict,
      changes: [own],
      rules: UNDO_RULES.map((rule) => ({
        conflict: rule,
        summary: rule,
        changes: [change(rule === 'keep-changed' ? 25 - changed : 25)],
        notices: [],
        refusal: null,
      })),
    },
    comparisons,
  };
}

export const fakeBase = (tables: string[] | null): Base => ({
  backup: '20260131-020000F',
  serverMajor: 15,
  databaseBytes: 1e9,
  timeline: 1,
  consistentAt: '0/3000100',
  lastLog: '000000010000000000000005',
  logs: 2,
  estimateSeconds: 30,
  tables,
  notices: [],
});

/**
 * Activities that return at once, for what a workflow alone decides: the order of steps, decisions, clean-up.
 * The real ones run against real servers in test/engine and test/e2e.
 */
export function fakeActivities(
  options: { settings?: Partial<RecoverySettings>; activities?: Partial<RunbookActivities> } = {},
): Fakes {
  const calls: string[] = [];
  const inputs: [string, unknown][] = [];
  let evidence: ReturnType<Fakes['evidence']> = null;
  const settings: RecoverySettings = {
    engine: 'postgres',
    site: 'local',
    siteHosts: ['local'],
    approval: { people: 1, requesterMayApprove: true, approvers: [], timeLimitMs: 60_000 },
    objectives: { rpoSeconds: 3_600, rtoSeconds: 1_800 },
    noWorkerAfterMs: 30_000,
    parkLimitMs: 60_000,
    remindMs: null,
    instanceLifetimeMs: 3_600_000,
    thaw: { lookEveryMs: 100, timeLimitMs: 60_000 },
    ...options.settings,
  };
  const result = comparisonOf(25);
  const activities = {
    describeRecovery: async () => settings,
    findChangeHolder: async () => 'pitr/shop/first',
    chooseBase: async ({ tables }) => fakeBase(tables),
    requestThaw: async () => ({ left: 0 }),
    provisionInstance: async ({ id, site }) => ({
      id,
      site,
      host: 'local',
      expiresAt: '2026-02-01T00:00:00Z',
    }),
    restoreInstance: async () => {},
    replayInstance: async () => REPLAYED,
    checkInstance: async () => [{ name: 'amcheck', verdict: 'pass', detail: '1 table' }],
    compareTables: async () => result,
    importTables: async () => ({
      tables: [
        {
          ...(result.plan.changes[0] as TableChange),
          inserted: 25,
          updated: 0,
          deleted: 0,
          vanished: 0,
          drifted: 0,
          created: null,
        },
      ],
      transaction: '790',
      alreadyDone: false,
      undo: null,
    }),
    verifyImport: async () => [{ name: 'rows', verdict: 'pass', detail: '25 present' }],
    removeInstance: async () => {},
    describeChange: async () => ({ ...settings, host: 'local' }),
    readUndo: async () => ({
      transaction: '790',
      tables: ['public.orders'],
      expiresAt: '2026-03-02T00:00:00Z',
    }),
    planUndo: async ({ conflict }) => undoComparisonOf(2, conflict),
    undoImport: async () => ({ tables: [], transaction: '812', alreadyDone: false, undo: null }),
    verifyUndo: async () => [{ name: 'undo of public.orders', verdict: 'pass', detail: 'nothing is left' }],
    writeEvidence: async (given) => {
      evidence = structuredClone(given);
      return 'evidence/shop/x.json';
    },
    ...options.activities,
  } as RunbookActivities;
  for (const [name, activity] of Object.entries(activities) as [string, (input: never) => unknown][]) {
    (activities as unknown as Record<string, unknown>)[name] = (input: never) => {
      calls.push(name);
      inputs.push([name, input]);
      return activity(input);
    };
  }
  return {
    activities,
    calls,
    inputsOf: (name) => inputs.flatMap(([called, input]) => (called === name ? [input as never] : [])),
    replayed: REPLAYED,
    evidence: () => evidence,
  };
}
