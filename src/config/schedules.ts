import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { formatCron, largestGapMs, parseCron } from '../model/cron.ts';
import type { WorkflowInput, WorkflowType } from '../model/input.ts';
import { CONTROL_QUEUE } from '../model/queue.ts';
import { describeDatabase } from './describe.ts';
import type { Config } from './schema.ts';

/** Every schedule of ours is called so. */
export const SCHEDULE_PREFIX = 'holdfast/';
/** Those of watchers, one a host. */
export const WATCH_PREFIX = `${SCHEDULE_PREFIX}log-archive-watch/`;

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** After the backups of the night and before people are at work: UTC. */
const AUDIT = '0 6 * * *';
/** Long-lived watchers, the reaper and the watchdog: a schedule that starts them again where they ended. */
const KEEP_ALIVE_MS = 5 * MINUTE;

/** A schedule as it has to be, in a form that can be compared with what the server has. */
export interface DesiredSchedule {
  id: string;
  workflowType: WorkflowType;
  input: unknown;
  queue: string;
  /** Temporal adds the time of each start */
  workflowId: string;
  /** cron expressions in their canonical form, UTC; empty where `everyMs` is set */
  crons: string[];
  everyMs: number | null;
  jitterMs: number;
  overlap: 'SKIP' | 'BUFFER_ONE';
  /** how late a start may still be caught up with when the server was away */
  catchupWindowMs: number;
  /** search attributes of the started runs */
  attributes: Record<string, string>;
  /** the repository that it protects into: schedules of another are none of ours */
  owner: string;
}

/** All schedules that a configuration asks for. Pure: the same configuration gives the same list. */
export function desiredSchedules(config: Config): DesiredSchedule[] {
  const owner = ownerOf(config);
  const watched = new Set<string>();
  const schedules: DesiredSchedule[] = [];
  for (const name of Object.keys(config.databases)) {
    const { tiers, verify, drill, config: database } = describeDatabase(config, name);
    if (tiers.log !== null) watched.add(database.host);
    const attributes = {
      [SEARCH_ATTRIBUTES.database]: name,
      [SEARCH_ATTRIBUTES.engine]: database.engine,
    };
    const add = (job: Job) => schedules.push(backupSchedule(name, job, attributes, owner));
    if (tiers.logical !== null) add({ tier: 'logical', crons: tiers.logical.schedule, overlap: 'SKIP' });
    if (verify !== null && (tiers.logical ?? tiers.physical) !== null) {
      add({ tier: 'verify', crons: [verify.schedule], overlap: 'SKIP' });
    }
    if (drill !== null && (tiers.logical ?? tiers.physical) !== null) {
      add({ tier: 'drill', crons: [drill], overlap: 'SKIP' });
    }
    if (tiers.snapshot !== null) add({ tier: 'snapshot', crons: tiers.snapshot.schedule, overlap: 'SKIP' });
    if (tiers.physical === null) continue;
    // A full is rare: better late, behind a running one, than a week without.
    add({ tier: 'physical-full', crons: tiers.physical.full, overlap: 'BUFFER_ONE' });
    if (tiers.physical.diff.length > 0) {
      add({ tier: 'physical-diff', crons: tiers.physical.diff, overlap: 'SKIP' });
    }
  }
  for (const host of watched) {
    const input: WorkflowInput<'logArchiveWatch'> = { host };
    schedules.push(keepAlive('logArchiveWatch', `log-archive-watch/${host}`, input, owner));
  }
  if (Object.keys(config.sites).length > 0) {
    schedules.push(keepAlive('instanceReaper', 'instance-reaper', {}, owner));
  }
  schedules.push(auditSchedule(owner));
  schedules.push(keepAlive('watchdog', 'watchdog', {}, owner));
  return schedules;
}

/** What tells the schedules of one installation from those of another in the same namespace. */
export function ownerOf({ repository }: Config): string {
  return `${repository.endpoint ?? 's3:/'}/${repository.bucket}/${repository.prefix}`;
}

interface Job {
  tier: 'logical' | 'physical-full' | 'physical-diff' | 'snapshot' | 'verify' | 'drill';
  crons: string[];
  overlap: DesiredSchedule['overlap'];
}

/** Who asked, and why, where nobody did. */
const SCHEDULED = { reason: 'as scheduled', requestedBy: 'schedule' };

const JOBS = {
  logical: { workflowType: 'logicalBackup', prefix: 'backup/logical', input: {} },
  'physical-full': {
    workflowType: 'physicalBackup',
    prefix: 'backup/physical-full',
    input: { kind: 'full' },
  },
  'physical-diff': {
    workflowType: 'physicalBackup',
    prefix: 'backup/physical-diff',
    input: { kind: 'diff' },
  },
  snapshot: { workflowType: 'monthlySnapshot', prefix: 'backup/snapshot', input: {} },
  verify: {
    workflowType: 'dailyVerify',
    prefix: 'verify',
    input: SCHEDULED,
  },
  drill: {
    workflowType: 'restoreDrill',
    prefix: 'drill',
    input: SCHEDULED,
  },
} as const;

function backupSchedule(
  database: string,
  { tier, crons, overlap }: Job,
  attributes: Record<string, string>,
  owner: string,
): DesiredSchedule {
  const { workflowType, prefix, input } = JOBS[tier];
  return {
    id: `${SCHEDULE_PREFIX}${tier}/${database}`,
    workflowType,
    input: { database, ...input },
    queue: CONTROL_QUEUE,
    workflowId: `${prefix}/${database}`,
    crons: crons.map((cron) => formatCron(parseCron(cron).fields)).sort(),
    everyMs: null,
    jitterMs: MINUTE,
    overlap,
    // One interval: after an outage the newest missed run is made up for, not a year of them.
    catchupWindowMs: largestGapMs(crons) ?? MINUTE,
    attributes: { ...attributes, [SEARCH_ATTRIBUTES.runbook]: workflowType },
    owner,
  };
}

function auditSchedule(owner: string): DesiredSchedule {
  return {
    ...keepAlive('repositoryAudit', 'repository-audit', {}, owner),
    crons: [formatCron(parseCron(AUDIT).fields)],
    everyMs: null,
    jitterMs: 10 * MINUTE,
    // A day late is better than not at all; a year of them is one.
    catchupWindowMs: DAY,
  };
}

function keepAlive(workflowType: WorkflowType, name: string, input: unknown, owner: string): DesiredSchedule {
  return {
    id: `${SCHEDULE_PREFIX}${name}`,
    workflowType,
    input,
    queue: CONTROL_QUEUE,
    workflowId: name,
    crons: [],
    everyMs: KEEP_ALIVE_MS,
    jitterMs: 0,
    overlap: 'SKIP',
    catchupWindowMs: MINUTE,
    attributes: { [SEARCH_ATTRIBUTES.runbook]: workflowType },
    owner,
  };
}
