import type { RepositoryConfig } from '../../../config/schema.ts';
import { HoldfastError } from '../../../model/failure.ts';
import { type Finding, look } from '../../../model/finding.ts';
import { refusalOf } from '../../failure.ts';
import type { Repository } from '../../repository.ts';

/** An object of the check's own, which every attempt is made on. */
export interface Probe {
  key: string;
  versionId: string | null;
  content: string;
  /** null: the configuration has no lock */
  lockedUntil: string | null;
}

/** What attempts are made with: the repository as each role has it. */
export interface Trial {
  config: RepositoryConfig;
  baseDirectory: string;
  writer: Repository;
  restorer: Repository;
  admin: Repository;
  /** everything that the check writes lies here */
  folder: string;
  probe: Probe;
  now: Date;
  signal: AbortSignal;
}

/** Tries one thing. Never throws. */
export type Attempt = (trial: Trial) => Promise<Finding[]>;

/** An attempt that S3 has to refuse; that it goes through is what is found. */
export async function mustFail(
  check: string,
  whenDone: { detail: string; hint: string },
  work: () => Promise<unknown>,
): Promise<Finding> {
  try {
    await work();
    return { check, ok: false, ...whenDone };
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal !== null) return { check, ok: true, detail: `refused (${refusal})`, hint: null };
    const { message } = error as Error;
    const hint = error instanceof HoldfastError ? (error.hint ?? null) : null;
    return { check, ok: false, detail: `it could not be tried: ${message}`, hint };
  }
}

/** The same on a probe whose lock is to stop it: where that ended before, because S3 is slow, nothing is proved. */
export async function mustFailLocked(
  probe: Probe,
  check: string,
  whenDone: { detail: string; hint: string },
  work: () => Promise<unknown>,
): Promise<Finding> {
  const finding = await mustFail(check, whenDone, work);
  if (Date.parse(probe.lockedUntil ?? '') > Date.now()) return finding;
  const detail = 'it could not be tried: S3 answered so slowly that the lock of the probe was over';
  return { check, ok: false, detail, hint: 'try again when S3 answers' };
}

/** What has to work, and says how it did. */
export const mustWork = look;

/** Words for the hints of what a role may and should not. */
export const POLICIES = 'holdfast repository plan --policies <folder> writes the policy that it should have';
