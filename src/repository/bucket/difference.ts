import type { LifecycleRule } from '../../model/lifecycle.ts';
import {
  describeEncryption,
  describeLock,
  describeRule,
  describeStatement,
  type Statement,
} from './describe.ts';
import { OURS } from './desired.ts';
import { bareKey } from './policies.ts';
import type { BucketAspect, BucketSettings } from './settings.ts';

/** One setting that is not what the configuration wants. */
export interface SettingChange {
  aspect: BucketAspect;
  /** the lifecycle rule or the statement, by its name; null: there is one such setting */
  item: string | null;
  is: string;
  willBe: string;
}

/** What is not ours: it stays as it is. */
export interface KeptSetting {
  aspect: 'policy' | 'lifecycle';
  item: string;
  what: string;
}

/** What this store has no such thing of. `required`: the configuration cannot be met here. */
export interface LackingSetting {
  aspect: BucketAspect;
  what: string;
  required: boolean;
}

export interface BucketDifference {
  changes: SettingChange[];
  kept: KeptSetting[];
  lacking: LackingSetting[];
}

/** What has to change for `is` to be as `desired`; where that names nothing, what is there stays. */
export function difference(is: BucketSettings, desired: BucketSettings): BucketDifference {
  const lacks = (aspect: BucketAspect) => is.lacking.includes(aspect);
  const changes = [
    single('versioning', is.versioning, desired.versioning),
    lockChange(is.objectLock, desired.objectLock),
    encryptionChange(is.encryption, desired.encryption),
    single('public-access-block', accessOf(is), accessOf(desired)),
    ...(lacks('uploads')
      ? ruleChanges(is.rules, desired.rules.map(withoutAbort))
      : ruleChanges(is.rules, desired.rules)),
    ...statementChanges(statementsOf(is.policy), statementsOf(desired.policy)),
  ].filter((change) => change !== null);
  return {
    changes: changes.filter(({ aspect }) => !lacks(aspect)),
    kept: [
      ...statementsOf(is.policy)
        .filter((statement) => !isOurs(statement.Sid))
        .map((one) => ({ aspect: 'policy' as const, item: one.Sid ?? '', what: describeStatement(one) })),
      ...is.rules
        .filter(({ id }) => !isOurs(id))
        .map((rule) => ({ aspect: 'lifecycle' as const, item: rule.id, what: describeRule(rule) })),
    ],
    lacking: is.lacking.map((aspect) => ({
      aspect,
      what: LACKING[aspect],
      required: aspect === 'versioning' || (aspect === 'object-lock' && desired.objectLock !== null),
    })),
  };
}

const LACKING: Record<BucketAspect, string> = {
  versioning: 'no versioning: whoever may delete an object has deleted the backup',
  'object-lock': 'no Object Lock: whoever may delete versions can delete every backup',
  encryption: "no encryption by default: each upload has to name the key, and Holdfast's do",
  'public-access-block':
    'no block of public access for the whole bucket: no policy of its own may let visitors in',
  policy:
    'no bucket policy that binds those with credentials: the endpoint has to refuse what is not TLS, the encryption by default gives the key',
  lifecycle: 'no lifecycle: nothing is ever removed for good, and nothing moves to a cheaper class',
  uploads:
    'no rule that aborts unfinished uploads, as far as can be seen: MinIO aborts them by itself, after a day',
  transitions: "no storage classes: backups stay in the store's own, transitions are left out",
};

/** Whether an id of a rule, or the sid of a statement, is one of Holdfast's. */
export function isOurs(name: string | undefined): boolean {
  return name?.startsWith(OURS) === true;
}

/** A policy may have a single statement without a list around it. */
export function statementsOf(policy: object | null): Statement[] {
  const { Statement: statements = [] } = (policy ?? {}) as { Statement?: Statement | Statement[] };
  return [statements].flat();
}

function single(aspect: BucketAspect, is: string, willBe: string): SettingChange | null {
  return is === willBe ? null : { aspect, item: null, is, willBe };
}

const accessOf = ({ publicAccessBlocked }: BucketSettings) =>
  publicAccessBlocked ? 'blocked' : 'not blocked';

function lockChange(
  is: BucketSettings['objectLock'],
  desired: BucketSettings['objectLock'],
): SettingChange | null {
  if (desired === null) return null;
  const change = single('object-lock', describeLock(is), describeLock(desired));
  if (change === null || is?.retention == null || desired.retention === null) return change;
  const isWeaker =
    desired.retention.days < is.retention.days ||
    (desired.retention.mode === 'GOVERNANCE' && is.retention.mode === 'COMPLIANCE');
  if (!isWeaker) return change;
  return { ...change, willBe: `${change.willBe} (of new objects: what is locked stays so)` };
}

/** A key is asked for by its id, and may be named by its ARN. */
function encryptionChange(
  is: BucketSettings['encryption'],
  desired: BucketSettings['encryption'],
): SettingChange | null {
  if (desired === null) return null;
  const keyOf = ({ kmsKeyId }: { kmsKeyId: string | null }) => kmsKeyId && bareKey(kmsKeyId);
  const isSame =
    is?.algorithm === desired.algorithm &&
    keyOf(is) === keyOf(desired) &&
    (is.bucketKey ?? desired.bucketKey) === desired.bucketKey;
  return isSame ? null : single('encryption', describeEncryption(is), describeEncryption(desired));
}

const withoutAbort = (rule: LifecycleRule) => ({ ...rule, abortUploadsAfterDays: null });

function ruleChanges(is: readonly LifecycleRule[], desired: readonly LifecycleRule[]): SettingChange[] {
  const named = (rules: readonly LifecycleRule[]) => new Map(rules.map((rule) => [rule.id, rule]));
  return itemChanges('lifecycle', named(is.filter(({ id }) => isOurs(id))), named(desired), describeRule);
}

function statementChanges(is: readonly Statement[], desired: readonly Statement[]): SettingChange[] {
  const named = (statements: readonly Statement[]) => new Map(statements.map((one) => [one.Sid ?? '', one]));
  const ours = is.filter(({ Sid }) => isOurs(Sid));
  return itemChanges('policy', named(ours), named(desired), describeStatement);
}

function itemChanges<T>(
  aspect: 'policy' | 'lifecycle',
  is: ReadonlyMap<string, T>,
  desired: ReadonlyMap<string, T>,
  describe: (item: T) => string,
): SettingChange[] {
  const text = (item: T | undefined) => (item === undefined ? 'none' : describe(item));
  return [...new Set([...is.keys(), ...desired.keys()])]
    .filter((name) => canonical(is.get(name)) !== canonical(desired.get(name)))
    .map((item) => ({ aspect, item, is: text(is.get(item)), willBe: text(desired.get(item)) }));
}

/** The same for what means the same: any order of names, and a list of one for that one. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (Array.isArray(inner)) return inner.length === 1 ? inner[0] : [...inner].sort(byText);
    if (typeof inner !== 'object' || inner === null) return inner;
    const { AWS, ...others } = inner as Record<string, unknown>;
    // A principal of everybody, as some stores give it back.
    if (AWS !== undefined && Object.keys(others).length === 0 && [AWS].flat().join() === '*') return '*';
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function byText(a: unknown, b: unknown): number {
  const [one, other] = [JSON.stringify(a), JSON.stringify(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}
