import { HoldfastError } from './failure.ts';

/** One line of a check: of the doctor, of the repository's own. */
export interface Finding {
  check: string;
  ok: boolean;
  /** what was found, or what is wrong; never a secret */
  detail: string;
  /** what to do about it; null where nothing is wrong */
  hint: string | null;
}

/** The line of a look: its own words where it succeeds, those of what it throws where it does not. */
export async function look(check: string, work: () => Promise<string>): Promise<Finding> {
  try {
    return { check, ok: true, detail: await work(), hint: null };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const hint = error instanceof HoldfastError ? (error.hint ?? null) : null;
    return { check, ok: false, detail, hint };
  }
}
