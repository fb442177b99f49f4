import { type FailureType, HoldfastError } from '../model/failure.ts';

/** One thing that is wrong in a configuration, and where. */
export interface ConfigIssue {
  path: (string | number)[];
  message: string;
  hint?: string | undefined;
  /** default InvalidConfiguration */
  type?: FailureType;
}

const GENERAL_HINT = 'docs/configuration.md explains every field; `holdfast init` writes a commented example';

/**
 * Every issue in one error, each with its line and path. Its type is that of the issues where they agree.
 * `lineOf` gives the line of a path in the file, 1 for the first.
 */
export function configurationError(
  file: string,
  issues: readonly ConfigIssue[],
  lineOf: (path: readonly (string | number)[]) => number | null,
): HoldfastError {
  const types = new Set(issues.map((issue) => issue.type ?? 'InvalidConfiguration'));
  const type = types.size === 1 ? ([...types][0] as FailureType) : 'InvalidConfiguration';
  const described = issues.map((issue) => describe(issue, lineOf(issue.path)));
  if (issues.length === 1) {
    return new HoldfastError(type, `${file} ${described[0]}`, { hint: issues[0]?.hint ?? GENERAL_HINT });
  }
  const lines = issues.map((issue, index) =>
    issue.hint === undefined ? `  ${described[index]}` : `  ${described[index]} (${issue.hint})`,
  );
  return new HoldfastError(type, `${file} has ${issues.length} errors:\n${lines.join('\n')}`, {
    hint: `correct them and run \`holdfast config check\`; ${GENERAL_HINT}`,
  });
}

function describe(issue: ConfigIssue, line: number | null): string {
  const where = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  return line === null ? `${where}${issue.message}` : `line ${line}: ${where}${issue.message}`;
}
