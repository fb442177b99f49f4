import type { RepositoryConfig } from '../../config/schema.ts';

/** What the shell blocks of RESTORE.md are made of. */

export function block(lines: readonly string[], language = 'sh'): string {
  return `\`\`\`${language}\n${lines.join('\n')}\n\`\`\``;
}

/** A line that stops the shell, naming what is missing, until the variables are set. */
export function required(...variables: [name: string, meaning: string][]): string {
  return `: ${variables.map(([name, meaning]) => `"\${${name}:?${meaning}}"`).join(' ')}`;
}

/** A word that a POSIX shell takes as it is. */
export function shellQuote(text: string): string {
  return /^[\w./:=@+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** What `aws` needs to reach the repository. */
export function accessLines(repository: RepositoryConfig): string[] {
  const { endpoint, region, caFile } = repository;
  return [
    required(['AWS_ACCESS_KEY_ID', 'access key id'], ['AWS_SECRET_ACCESS_KEY', 'secret access key']),
    `export AWS_DEFAULT_REGION=${shellQuote(region)}`,
    ...(endpoint === undefined ? [] : [`export AWS_ENDPOINT_URL=${shellQuote(endpoint)}`]),
    ...(caFile === undefined ? [] : [`export AWS_CA_BUNDLE=${shellQuote(caFile)}`]),
  ];
}
