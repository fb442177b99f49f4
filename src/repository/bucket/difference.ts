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
interface KeptSetting {
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
  /** what is as it has to be, of that which the configuration speaks of */
  right: Omit<SettingChange, 'willBe'>[];
  kept: KeptSetting[];
  lacking: LackingSetting[];
}

/** What has to change for `is` to be as `desired`; where that names nothing, what is there stays. */
export function difference(is: BucketSettings, desired: BucketSettings): BucketDifference {
  const lacks = (aspect: BucketAspect) => is.lacking.includes(aspect);
  const settings = [
    single('versioning', is.versioning, desired.versioning),
    ...(desired.objectLock === null ? [] : [compareLocks(is.objectLock, desired.objectLock)]),
    ...(desired.encryption === null ? [] : [compareEncryption(is.encryption, desired.encryption)]),
    single('public-access-block', accessOf(is), accessOf(desired)),
    ...compareStatements(statementsOf(is.policy), statementsOf(desired.policy)),
    ...compareRules(is.rules, lacks('uploads') ? desired.rules.map(withoutAbort) : desired.rules),
  ].filter(({ setting }) => !lacks(setting.aspect));
  return {
    changes: settings.filter(({ isRight }) => !isRight).map(({ setting }) => setting),
    right: settings.filter(({ isRight }) => isRight).map(({ setting: { willBe: _, ...setting } }) => setting),
    kept: keptOf(is),
    lacking: is.lacking.map((aspect) => ({
      aspect,
      what: LACKING[aspect],
      required: aspect === 'versioning' || (aspect === 'object-lock' && desired.objectLock !== null),
    })),
  };
}

function keptOf({ policy, rules }: BucketSettings): KeptSetting[] {
  const statements = statementsOf(policy).filter(({ Sid }) => !isOurs(Sid));
  return [
    ...statements.map((one) => ({
      aspect: 'policy' as const,
      item: one.Sid ?? '',
      what: describeStatement(one),
    })),
    ...rules
      .filter(({ id }) => !isOurs(id))
      .map((rule) => ({ aspect: 'lifecycle' as const, item: rule.id, what: describeRule(rule) })),
  ];
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

interface Compared {
  setting: SettingChange;
  isRight: boolean;
}

function single(aspect: BucketAspect, is: string, willBe: string, isRight = is === willBe): Compared {
  return { setting: { aspect, item: null, is, willBe }, isRight };
}

const accessOf = ({ publicAccessBlocked }: BucketSettings) =>
  publicAccessBlocked ? 'blocked' : 'not blocked';

function compareLocks(
  is: BucketSettings['objectLock'],
  desired: NonNullable<BucketSettings['objectLock']>,
): Compared {
  const compared = single('object-lock', describeLock(is), describeLock(desired));
  if (compared.isRight || is?.retention == null || desired.retention === null) return compared;
  const isWeaker =
    desired.retention.days < is.retention.days ||
    (desired.retention.mode === 'GOVERNANCE' && is.retention.mode === 'COMPLIANCE');
  const note = isWeaker ? ' (of new objects: what is locked stays so)' : '';
  const { setting } = compared;
  return { ...compared, setting: { ...setting, willBe: `${setting.willBe}${note}` } };
}

/** A key is asked for by its id, and may be named by its ARN. */
function compareEncryption(
  is: BucketSettings['encryption'],
  desired: NonNullable<BucketSettings['encryption']>,
): Compared {
  const keyOf = ({ kmsKeyId }: { kmsKeyId: string | null }) => kmsKeyId && bareKey(kmsKeyId);
  const isRight =
    is?.algorithm === desired.algorithm &&
    keyOf(is) === keyOf(desired) &&
    (is.bucketKey ?? desired.bucketKey) === desired.bucketKey;
  return single('encryption', describeEncryption(is), describeEncryption(desired), isRight);
}

const withoutAbort = (rule: LifecycleRule) => ({ ...rule, abortUploadsAfterDays: null });

function compareRules(is: readonly LifecycleRule[], desired: readonly LifecycleRule[]): Compared[] {
  const named = (rules: readonly LifecycleRule[]) => new Map(rules.map((rule) => [rule.id, rule]));
  return compareItems('lifecycle', named(is.filter(({ id }) => isOurs(id))), named(desired), describeRule);
}

function compareStatements(is: readonly Statement[], desired: readonly Statement[]): Compared[] {
  const named = (statements: readonly Statement[]) => new Map(statements.map((one) => [one.Sid ?? '', one]));
  const ours = is.filter(({ Sid }) => isOurs(Sid));
  return compareItems('policy', named(ours), named(desired), describeStatement);
}

function compareItems<T>(
  aspect: 'policy' | 'lifecycle',
  is: ReadonlyMap<string, T>,
  desired: ReadonlyMap<string, T>,
  describe: (item: T) => string,
): Compared[] {
  const text = (item: T | undefined) => (item === undefined ? 'none' : describe(item));
  return [...new Set([...is.keys(), ...desired.keys()])].map((item) => ({
    setting: { aspect, item, is: text(is.get(item)), willBe: text(desired.get(item)) },
    isRight: canonical(is.get(item)) === canonical(desired.get(item)),
  }));
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
