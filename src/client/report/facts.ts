import { type DatabaseView, describeDatabase } from '../../config/describe.ts';
import type { Config } from '../../config/schema.ts';
import type { AuditFinding } from '../../model/audit.ts';
import type { Catalog } from '../../model/backup.ts';
import type { DrillRecord } from '../../model/drill.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { DecisionRecord, Outcome } from '../../model/runbook.ts';
import { ID_PREFIXES } from '../../model/workflow-id.ts';
import { criticalOf, readAuditRecord } from '../../repository/audit/record.ts';
import { mapBounded } from '../../repository/bounded.ts';
import { readCatalog } from '../../repository/catalog.ts';
import { readDrills } from '../../repository/drills.ts';
import { encodeId, evidenceFolder } from '../../repository/layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { readVerifications, type VerificationRecord } from '../../repository/verifications.ts';
import { type DisasterReadiness, readinessOf } from './disaster.ts';
import { type Finding, findingsOf } from './findings.ts';

/** The contract of `holdfast report --output json`. */
export interface Report {
  writtenAt: string;
  repository: { bucket: string; prefix: string; region: string };
  databases: DatabaseReport[];
}

export interface DatabaseReport {
  database: string;
  engine: string;
  host: string;
  region: string | null;
  objectives: Record<'rpo' | 'rto', { seconds: number; from: string }>;
  disaster: DisasterReadiness;
  /** what is wrong or unproved, the worst first */
  findings: Finding[];
  /** null where the repository could not be read */
  held: Held | null;
}

/** What the repository holds of a database. */
export interface Held {
  catalog: Catalog;
  /** newest first */
  verifications: Pick<VerificationRecord, 'tier' | 'backup' | 'verdict' | 'reasons' | 'finishedAt'>[];
  /** newest first */
  drills: DrillRecord[];
  /** runs that people decided on, newest first */
  decided: Decided[];
}

export interface Decided {
  workflowId: string;
  runbook: string;
  reason: string;
  requestedBy: string;
  outcome: Outcome;
  plan: string | null;
  decisions: DecisionRecord[];
  writtenAt: string;
}

const AT_ONCE = 8;
/** Runs whose evidence is read: the newest. */
const MOST_RUNS = 50;

/** Facts of these databases, read from the repository alone. One that cannot be read says so. */
export async function readReport(
  config: Config,
  names: readonly string[],
  repository: Repository,
  now: Date,
): Promise<Report> {
  const { bucket, prefix, region } = config.repository;
  // What else is wrong with the repository, each database says itself.
  const audit = await readAuditRecord(repository).catch(() => null);
  return {
    writtenAt: now.toISOString(),
    repository: { bucket, prefix, region },
    databases: await mapBounded(names, AT_ONCE, async (name) => {
      const database = describeDatabase(config, name);
      const held = await readHeld(repository, database, now).catch((error: unknown) =>
        error instanceof Error ? error.message : String(error),
      );
      return reportOf(database, held, now, criticalOf(audit, name));
    }),
  };
}

/** `held` is why nothing could be read, where it is a text; `audited` what the last audit has found. */
export function reportOf(
  database: DatabaseView,
  held: Held | string,
  now: Date,
  audited: readonly AuditFinding[] = [],
): DatabaseReport {
  const { name, config, objectives } = database;
  return {
    database: name,
    engine: config.engine,
    host: config.host,
    region: config.region ?? null,
    objectives: {
      rpo: { seconds: objectives.rpoMs / 1_000, from: objectives.rpoFrom },
      rto: { seconds: objectives.rtoMs / 1_000, from: objectives.rtoFrom },
    },
    disaster: readinessOf(database, typeof held === 'string' ? null : held),
    findings: [...audited.map(openOf), ...findingsOf(database, held, now)],
    held: typeof held === 'string' ? null : held,
  };
}

const openOf = ({ what, hint }: AuditFinding): Finding => ({ severity: 'critical', what, hint });

async function readHeld(repository: Repository, database: DatabaseView, now: Date): Promise<Held> {
  const { name } = database;
  const [catalog, verifications, drills, decided] = await Promise.all([
    readCatalog(repository, name, { ...database, now }),
    readVerifications(repository, name),
    readDrills(repository, name),
    readDecided(repository, name),
  ]);
  return {
    ...{ catalog, drills, decided },
    verifications: verifications.map(({ tier, backup, verdict, reasons, finishedAt }) => ({
      ...{ tier, backup, verdict, reasons, finishedAt },
    })),
  };
}

async function readDecided(repository: Repository, database: string): Promise<Decided[]> {
  const folder = evidenceFolder(database);
  // Nobody decides on these, and there are many.
  const undecided = [ID_PREFIXES.dailyVerify, ID_PREFIXES.restoreDrill].map(
    (prefix) => folder + encodeId(`${prefix}/`),
  );
  const listed: { key: string; lastModified: string }[] = [];
  for await (const object of repository.list(folder)) {
    const { key } = object;
    if (key.endsWith('.json') && !undecided.some((prefix) => key.startsWith(prefix))) listed.push(object);
  }
  listed.sort((a, b) => Date.parse(b.lastModified) - Date.parse(a.lastModified));
  const read = await mapBounded(listed.slice(0, MOST_RUNS), AT_ONCE, ({ key }) =>
    repository.getJson<Evidence>(key),
  );
  return read.flatMap((evidence) =>
    evidence === null || evidence.status.decisions.length === 0 ? [] : [decidedOf(evidence)],
  );
}

function decidedOf({ status, writtenAt }: Evidence): Decided {
  const { workflowId, runbook, reason, requestedBy, outcome, plan, decisions } = status;
  return {
    ...{ workflowId, runbook, reason, requestedBy, outcome, decisions, writtenAt },
    plan: plan?.summary ?? null,
  };
}
