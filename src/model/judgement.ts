/** Why a hand-set tier cannot be; the path is within the database. */
export interface Refusal {
  path: string[];
  message: string;
  hint: string;
}

/** The arithmetic of one rule, a line each for people, and what it refuses. */
export interface Judgement {
  lines: string[];
  refusals: Refusal[];
}
