import type { Due, LifecycleRule } from '../../model/lifecycle.ts';
import type { BucketSettings } from './settings.ts';

/** Settings of a bucket in words, for plans. */

export function describeLock(lock: BucketSettings['objectLock']): string {
  if (lock === null) return 'no Object Lock';
  if (lock.retention === null) return 'Object Lock, no default retention';
  return `${lock.retention.mode} for ${lock.retention.days} days`;
}

export function describeEncryption(encryption: BucketSettings['encryption']): string {
  if (encryption === null) return 'none';
  const { algorithm, kmsKeyId, bucketKey } = encryption;
  if (kmsKeyId === null) return algorithm;
  return `${algorithm}, key ${kmsKeyId}${bucketKey === false ? ', without a bucket key' : ''}`;
}

/** `log/: expires after 15 days; older versions go after 1 day`. */
export function describeRule(rule: LifecycleRule): string {
  const size = [
    ...(rule.largerThanBytes === null ? [] : [`above ${rule.largerThanBytes} bytes`]),
    ...(rule.smallerThanBytes === null ? [] : [`below ${rule.smallerThanBytes} bytes`]),
    ...Object.entries(rule.tags).map(([name, value]) => `with ${name}=${value}`),
  ];
  const actions = [
    ...rule.transitions.map(({ due, storageClass }) => `to ${storageClass} ${when(due)}`),
    ...(rule.expire === null ? [] : [`expires ${when(rule.expire)}`]),
    ...rule.noncurrentTransitions.map(
      ({ days, storageClass }) => `older versions to ${storageClass} ${when({ days })}`,
    ),
    ...(rule.expireNoncurrent === null ? [] : [describeNoncurrent(rule.expireNoncurrent)]),
    ...(rule.removeLoneMarkers ? ['lone markers go'] : []),
    ...(rule.abortUploadsAfterDays === null
      ? []
      : [`unfinished uploads go ${when({ days: rule.abortUploadsAfterDays })}`]),
  ];
  const where = [rule.prefix === '' ? 'everything' : rule.prefix, ...size].join(' ');
  const text = `${where}: ${actions.length === 0 ? 'nothing' : actions.join('; ')}`;
  return rule.enabled ? text : `${text} (disabled)`;
}

function describeNoncurrent({ days, keepNewer }: { days: number; keepNewer: number }): string {
  const but = keepNewer === 0 ? '' : `, but for the newest ${keepNewer}`;
  return `older versions go ${when({ days })}${but}`;
}

function when(due: Due): string {
  if ('date' in due) return `on ${due.date.slice(0, 10)}`;
  return `after ${due.days} day${due.days === 1 ? '' : 's'}`;
}

/** A statement of a policy, of ours or of anybody's: `Deny s3:* to * if Bool aws:SecureTransport false`. */
export function describeStatement(statement: Statement): string {
  const { Effect, Action, NotAction, Principal, NotPrincipal, Condition } = statement;
  const what = Action === undefined ? `all but ${list(NotAction)}` : list(Action);
  const whom = Principal === undefined ? `all but ${principal(NotPrincipal)}` : principal(Principal);
  const terms = Object.entries(Condition ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, values]) => `${operator} ${key} ${list(values)}`),
  );
  const condition = terms.length === 0 ? '' : ` if ${terms.join(' and ')}`;
  return `${Effect} ${what} to ${whom}${condition}`;
}

type Names = string | string[];

/** As anybody may have written it: single names with or without a list around them. */
export interface Statement {
  Sid?: string;
  Effect: string;
  Action?: Names;
  NotAction?: Names;
  Principal?: Names | Record<string, Names>;
  NotPrincipal?: Names | Record<string, Names>;
  Resource?: Names;
  NotResource?: Names;
  Condition?: Record<string, Record<string, Names>>;
}

const list = (names: Names | undefined): string => [names ?? '*'].flat().join(', ');

function principal(who: Statement['Principal']): string {
  if (who === undefined || typeof who === 'string' || Array.isArray(who)) return list(who);
  return Object.values(who).flat().join(', ');
}
