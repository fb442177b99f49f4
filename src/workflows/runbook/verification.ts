import { isCancellation } from '@temporalio/workflow';
import type { Candidate } from '../../activities/verification-choice.ts';
import type { Archived } from '../../model/archive.ts';
import type { Check } from '../../model/evidence.ts';
import type { FailureType } from '../../model/failure.ts';
import { type Verdict, worstOf } from '../../model/verification.ts';
import { failureOf } from './failure.ts';
import type { Provisioned } from './instance.ts';
import type { Runbook } from './runbook.ts';

/** Failures that say of a backup that it is not one. All others say only that it could not be looked at. */
const DAMAGE: readonly FailureType[] = [
  'BackupUnusable',
  'ChecksumMismatch',
  'CheckFailed',
  'LogGap',
  'TargetNotRecoverable',
  'TargetNotReached',
  'UnknownBackup',
];

/** One backup, and what was found of it so far. */
export class Verified {
  readonly candidate: Candidate;
  readonly startedAt: string;
  readonly checks: Check[] = [];

  constructor(candidate: Candidate, startedAt: string) {
    this.candidate = candidate;
    this.startedAt = startedAt;
  }

  /** Named by its tier: those of several backups stand beside each other. */
  add(checks: readonly Check[]): void {
    const { tier } = this.candidate;
    this.checks.push(...checks.map((check) => ({ ...check, name: `${tier}: ${check.name}` })));
  }
}

/** Runs a part of a verification; what fails is a check by this name that did not pass. */
export async function tried(name: string, work: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await work();
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { type, message } = failureOf(error);
    const verdict: Verdict = DAMAGE.includes(type as FailureType) ? 'fail' : 'inconclusive';
    return [{ name, verdict, detail: message.split('\nHINT: ')[0] as string }];
  }
}

/** The last commit before a moment that was archived has to be in a copy that was replayed to the end of the logs. */
export const checkLastCommit = (
  runbook: Runbook,
  { host }: Provisioned,
  copy: Parameters<Provisioned['host']['checkHeartbeat']>[0],
): Promise<readonly Check[]> =>
  tried('heartbeat', () =>
    runbook.step('look for the last commit', () => host.checkHeartbeat(copy), described),
  );

/** That production has another schema by now is no fault of a backup: it is said, and no more. */
export const migrated = (checks: readonly Check[]): Check[] =>
  checks.map((check) =>
    check.name === 'schema' && check.detail.startsWith('production has changed')
      ? { ...check, verdict: 'pass' }
      : check,
  );

/** Hours, and money: whoever wants that restores it. */
export const notThawed = ({ storageClass }: Archived): Check => ({
  ...{ name: 'base', verdict: 'inconclusive' },
  detail: `what it needs is in ${storageClass}, and a verification thaws nothing`,
});

/** A step's detail. */
export const described = (checks: readonly Check[]): string =>
  checks.map(({ name, verdict }) => `${name}: ${verdict}`).join(', ') || 'nothing to ask';

export function summed(checks: readonly Check[]): { verdict: Verdict; reasons: string[]; checks: Check[] } {
  const bad = checks.filter(({ verdict }) => verdict !== 'pass');
  return {
    // Nothing that was looked at proves nothing.
    verdict: checks.length === 0 ? 'inconclusive' : worstOf(checks.map(({ verdict }) => verdict)),
    reasons: bad.map(({ name, verdict, detail }) => `${name} is ${verdict}: ${detail}`),
    checks: [...checks],
  };
}
