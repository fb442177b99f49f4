import type { z } from 'zod';
import type { ApprovalPolicy } from '../model/decision.ts';
import { parseDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import { nearestNames } from '../model/nearest.ts';
import { deriveObjectives, type Objectives } from '../model/objective.ts';
import { deriveProtection, type Protection } from '../model/protection.ts';
import { defaultDrill, defaultVerify } from '../model/schedule-spread.ts';
import { type Bases, basesOf, type Retention, type Tiers } from '../model/tier.ts';
import type { FormerPlace, Topology } from '../model/topology.ts';
import { approvalSchema } from './schema/approval.ts';
import type { Config, DatabaseConfig } from './schema.ts';

/** A database with everything that the configuration says about it, merged and in milliseconds. */
export interface DatabaseView {
  name: string;
  config: DatabaseConfig;
  objectives: Objectives;
  tiers: Tiers;
  approval: ApprovalPolicy;
  retention: Retention;
  /** null: switched off by hand */
  verify: VerifyView | null;
  /** when it is drilled: cron, UTC; null: switched off by hand */
  drill: string | null;
  /** of which tier the backups are that logs are replayed from; `logical`: its logs are shipped by us, not archived by the server */
  bases: Bases;
  /** pgBackRest's name for it, where it lives now */
  stanza: string;
  /** places where it lived before, newest first: its history goes back through their stanzas */
  former: readonly FormerPlace[];
  /** null: it lives where the configuration's file says */
  topology: Topology | null;
}

/** Everything about one database. Throws UnknownDatabase with the nearest names. */
export function describeDatabase(config: Config, name: string): DatabaseView {
  const database = findDatabase(config, name);
  return {
    name,
    config: database,
    objectives: objectivesOf(database),
    tiers: protectionOf(name, database).tiers,
    approval: approvalOf(config, database),
    retention: retentionOf(database),
    verify: verifyOf(name, database),
    drill: drillOf(name, database),
    bases: basesOf(database.engine),
    stanza: stanzaOf(name, database),
    former: database.topology?.former ?? [],
    topology: database.topology ?? null,
  };
}

export function findDatabase(config: Config, name: string): DatabaseConfig {
  const database = Object.hasOwn(config.databases, name) ? config.databases[name] : undefined;
  if (database !== undefined) return database;
  const names = Object.keys(config.databases);
  const nearest = nearestNames(name, names);
  const known =
    names.length === 0
      ? 'the configuration has no databases yet'
      : `the databases are ${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}`;
  throw new HoldfastError('UnknownDatabase', `there is no database "${name}" in the configuration`, {
    hint: nearest.length === 0 ? known : `do you mean ${nearest.join(' or ')}? ${known}`,
  });
}

export function objectivesOf(database: DatabaseConfig): Objectives {
  const { class: given = [], objectives } = database;
  return deriveObjectives({
    classes: typeof given === 'string' ? [given] : given,
    rpo: objectives?.rpo,
    rto: objectives?.rto,
  });
}

/** Tiers, their arithmetic, and why what was set by hand cannot be. */
export function protectionOf(
  name: string,
  database: DatabaseConfig,
  databaseBytes: number | null = null,
): Protection {
  return deriveProtection({
    name,
    objectives: objectivesOf(database),
    choices: choicesOf(database),
    bases: basesOf(database.engine),
    retention: retentionOf(database),
    databaseBytes,
  });
}

/**
 * Snapshots are of verified backups: where nothing is verified by itself there are none, unless they are asked for. An
 * engine whose bases are logical backups has no physical ones.
 */
function choicesOf({ engine, tiers, verify }: DatabaseConfig): DatabaseConfig['tiers'] {
  return {
    ...tiers,
    ...(verify === 'off' && tiers.snapshot === undefined ? { snapshot: 'off' } : {}),
    ...(basesOf(engine) === 'logical' ? { physical: 'off' } : {}),
  };
}

export function retentionOf({ retention }: DatabaseConfig): Retention {
  return {
    logMs: parseDuration(retention.log),
    logicalMs: parseDuration(retention.logical),
    physicalMs: parseDuration(retention.physical),
    snapshotMs: parseDuration(retention.snapshot),
    undoMs: parseDuration(retention.undo),
  };
}

export function approvalOf(config: Config, database: DatabaseConfig): ApprovalPolicy {
  return policyOf(config.approval.import, database);
}

/** Of a disaster recovery. `none` is a policy of nobody: the configuration itself approves. */
export function disasterApprovalOf(config: Config, database: DatabaseConfig): ApprovalPolicy {
  const { disaster } = config.approval;
  return policyOf(disaster === 'none' ? approvalSchema.parse({ people: 0 }) : disaster, database);
}

function policyOf(policy: z.infer<typeof approvalSchema>, { approval = {} }: DatabaseConfig): ApprovalPolicy {
  const { timeLimit, ...rest } = { ...policy, ...definedOf(approval) };
  return { ...rest, timeLimitMs: parseDuration(timeLimit) };
}

/** How long runs wait for workers, in milliseconds. */
export function patienceOf({ noWorkerAfter, workerLostAfter }: Config) {
  return { noWorkerAfterMs: parseDuration(noWorkerAfter), lostAfterMs: parseDuration(workerLostAfter) };
}

/** The daily verification of a database. */
export interface VerifyView extends Exclude<DatabaseConfig['verify'], 'off'> {
  /** cron, UTC */
  schedule: string;
}

export function verifyOf(name: string, { verify }: DatabaseConfig): VerifyView | null {
  return verify === 'off' ? null : { ...verify, schedule: verify.schedule ?? defaultVerify(name) };
}

export function drillOf(name: string, { drill }: DatabaseConfig): string | null {
  return drill === 'off' ? null : (drill.schedule ?? defaultDrill(name));
}

export function stanzaOf(name: string, database: DatabaseConfig): string {
  return database.postgres?.stanza ?? name;
}

function definedOf<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
