import type { Refusal } from '../../model/judgement.ts';
import type { Due, LifecycleRule } from '../../model/lifecycle.ts';

const USER_GUIDE = 'https://docs.aws.amazon.com/AmazonS3/latest/userguide';
const API = 'https://docs.aws.amazon.com/AmazonS3/latest/API';
const MOST_RULES = 1_000;
const MOST_KEPT_VERSIONS = 100;
const LONGEST_ID = 255;
/** From the day on that S3 moves to an infrequent-access class, and how long it keeps objects there. */
const INFREQUENT_DAYS = 30;
/** Objects move down this list only. */
const WATERFALL = [
  'STANDARD',
  'STANDARD_IA',
  'INTELLIGENT_TIERING',
  'ONEZONE_IA',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
];
const INFREQUENT = new Set(['STANDARD_IA', 'ONEZONE_IA']);

interface Limit {
  /** the page of S3's documentation that says so */
  source: string;
  /** what is wrong with a rule; empty: nothing */
  check(rule: LifecycleRule): string[];
}

/** S3's own limits on one rule, known before S3 is asked. */
const LIMITS: Limit[] = [
  {
    source: `${API}/API_LifecycleRule.html`,
    check: ({ id }) => [
      ...(id === '' ? ['it has no id'] : []),
      ...(id.length > LONGEST_ID ? [`its id is longer than ${LONGEST_ID} characters`] : []),
    ],
  },
  {
    source: `${USER_GUIDE}/intro-lifecycle-rules.html`,
    check: (rule) => (actionsOf(rule).length === 0 ? ['it does nothing'] : []),
  },
  {
    source: `${API}/API_LifecycleExpiration.html`,
    check: ({ expire, expireNoncurrent, abortUploadsAfterDays }) =>
      [
        expire !== null && 'days' in expire ? expire.days : 1,
        expireNoncurrent?.days ?? 1,
        abortUploadsAfterDays ?? 1,
      ].some((days) => !isCount(days, 1))
        ? ['its days have to be whole and more than 0']
        : [],
  },
  {
    source: `${API}/API_LifecycleExpiration.html`,
    check: ({ expire, transitions }) => {
      const dues = [...(expire === null ? [] : [expire]), ...transitions.map(({ due }) => due)];
      const dates = dues.flatMap((due) => ('date' in due ? [due.date] : []));
      return [
        ...(dates.length > 0 && dates.length < dues.length ? ['it mixes days and dates'] : []),
        ...(dates.some((date) => !(Date.parse(date) % 86_400_000 === 0))
          ? ['a date has to be a midnight in UTC']
          : []),
      ];
    },
  },
  {
    source: `${API}/API_NoncurrentVersionExpiration.html`,
    check: ({ expireNoncurrent }) =>
      isCount(expireNoncurrent?.keepNewer ?? 0, 0) && (expireNoncurrent?.keepNewer ?? 0) <= MOST_KEPT_VERSIONS
        ? []
        : [`it keeps 0 to ${MOST_KEPT_VERSIONS} newer versions, no more`],
  },
  {
    source: `${USER_GUIDE}/intro-lifecycle-filters.html`,
    check: ({ largerThanBytes, smallerThanBytes }) =>
      [largerThanBytes ?? 0, smallerThanBytes ?? 1].some((bytes) => !isCount(bytes, 0)) ||
      (largerThanBytes !== null && smallerThanBytes !== null && largerThanBytes >= smallerThanBytes)
        ? ['no object is of the size that it asks for']
        : [],
  },
  {
    source: `${USER_GUIDE}/lifecycle-configuration-examples.html`,
    check: ({ removeLoneMarkers, expire }) =>
      removeLoneMarkers && expire !== null
        ? ['an expiration removes lone markers itself: only one of both']
        : [],
  },
  {
    source: `${USER_GUIDE}/intro-lifecycle-filters.html`,
    check: (rule) =>
      isPlain(rule) || (!rule.removeLoneMarkers && rule.abortUploadsAfterDays === null)
        ? []
        : ['uploads and lone markers have neither size nor tags'],
  },
  {
    source: `${USER_GUIDE}/lifecycle-transition-general-considerations.html`,
    check: (rule) => [
      ...checkPath(
        rule.transitions.map(({ due, storageClass }) => ({ at: dueDays(due), storageClass })),
        rule.expire === null ? null : dueDays(rule.expire),
        rule.transitions.some(({ due }) => 'date' in due),
      ),
      ...checkPath(
        rule.noncurrentTransitions.map(({ days, storageClass }) => ({ at: days, storageClass })),
        rule.expireNoncurrent?.days ?? null,
        false,
      ),
    ],
  },
];

/** Whatever S3 would refuse about these rules, or do in another way than they say. Asks nobody. */
export function beyondLimits(rules: readonly LifecycleRule[]): Refusal[] {
  const refusals: Refusal[] = [];
  if (rules.length > MOST_RULES) {
    const message = `${rules.length} lifecycle rules are needed, a bucket takes ${MOST_RULES} (${API}/API_PutBucketLifecycleConfiguration.html)`;
    const hint =
      'give databases the same retentions: all that share the longest of a tier need one rule together';
    refusals.push({ path: ['repository'], message, hint });
  }
  for (const rule of rules) {
    for (const { source, check } of LIMITS) {
      refusals.push(...check(rule).map((what) => refusal(rule, what, source)));
    }
  }
  return [...refusals, ...repeated(rules)];
}

/** Two rules of one id, or two that say different things of the same objects. */
function repeated(rules: readonly LifecycleRule[]): Refusal[] {
  const seen = new Map<string, string>();
  const refusals: Refusal[] = [];
  for (const rule of rules) {
    const source = `${USER_GUIDE}/lifecycle-conflicts.html`;
    if (seen.has(`id ${rule.id}`)) refusals.push(refusal(rule, 'another rule has this id', source));
    seen.set(`id ${rule.id}`, rule.id);
    if (!rule.enabled) continue;
    const filter = JSON.stringify([rule.prefix, rule.largerThanBytes, rule.smallerThanBytes, tagsOf(rule)]);
    for (const action of actionsOf(rule)) {
      const other = seen.get(`${action} ${filter}`);
      seen.set(`${action} ${filter}`, other ?? rule.id);
      if (other !== undefined && other !== rule.id) {
        refusals.push(
          refusal(rule, `${other} says already for the same objects when they ${action}`, source),
        );
      }
    }
  }
  return refusals;
}

/** Transitions and the end, in days or, where all are dates, in milliseconds turned into days. */
function checkPath(
  steps: { at: number; storageClass: string }[],
  end: number | null,
  areDates: boolean,
): string[] {
  const wrong: string[] = [];
  const sorted = steps.toSorted((a, b) => a.at - b.at || rank(a.storageClass) - rank(b.storageClass));
  for (const [index, { at, storageClass }] of sorted.entries()) {
    const infrequent = INFREQUENT.has(storageClass);
    if (!isCount(at, 0)) wrong.push('its days have to be whole, and not less than 0');
    if (rank(storageClass) < 1) wrong.push(`S3 moves nothing to ${storageClass}`);
    if (infrequent && !areDates && at < INFREQUENT_DAYS) {
      wrong.push(
        `it moves to ${storageClass} after ${at} days, S3 does from day ${INFREQUENT_DAYS} on: write into this class at once`,
      );
    }
    const next = sorted[index + 1];
    if (next !== undefined && rank(next.storageClass) <= rank(storageClass)) {
      wrong.push(`nothing goes from ${storageClass} to ${next.storageClass}`);
    }
    if (next !== undefined && infrequent && next.at - at < INFREQUENT_DAYS) {
      wrong.push(`${INFREQUENT_DAYS} days have to lie between ${storageClass} and ${next.storageClass}`);
    }
    if (end !== null && at >= end) wrong.push(`it moves to ${storageClass} when the objects have ended`);
  }
  return [...new Set(wrong)];
}

function refusal(rule: LifecycleRule, what: string, source: string): Refusal {
  const message = `lifecycle rule ${rule.id === '' ? `of ${rule.prefix}` : rule.id}: ${what}`;
  return { path: ['repository'], message, hint: `see ${source}` };
}

function actionsOf(rule: LifecycleRule): string[] {
  return [
    ...(rule.expire === null ? [] : ['end']),
    ...rule.transitions.map(({ storageClass }) => `move to ${storageClass}`),
    ...(rule.expireNoncurrent === null ? [] : ['are removed when noncurrent']),
    ...rule.noncurrentTransitions.map(({ storageClass }) => `move to ${storageClass} when noncurrent`),
    ...(rule.removeLoneMarkers ? ['are lone markers'] : []),
    ...(rule.abortUploadsAfterDays === null ? [] : ['are aborted uploads']),
  ];
}

const isPlain = (rule: LifecycleRule): boolean =>
  rule.largerThanBytes === null && rule.smallerThanBytes === null && Object.keys(rule.tags).length === 0;
const tagsOf = ({ tags }: LifecycleRule) => Object.entries(tags).sort();
const rank = (storageClass: string): number => WATERFALL.indexOf(storageClass);
const isCount = (value: number, least: number): boolean => Number.isInteger(value) && value >= least;
const dueDays = (due: Due): number => ('days' in due ? due.days : Date.parse(due.date) / 86_400_000);
