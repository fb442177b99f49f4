import { shellQuote } from '../output.ts';
import type { RunbookFacts } from './facts.ts';

/** Commands of one shell, as they are typed. */
export function shell(...lines: string[]): string {
  return ['```sh', ...lines, '```'].join('\n');
}

export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** A cell must not end early, nor its row. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');
}

/** A variable of the shell that the document has set before. */
export interface Variable {
  variable: string;
}
export const variable = (name: string): Variable => ({ variable: name });

/** One command, every word quoted as a shell needs it, variables as `"$NAME"`. */
export function commandLine(words: readonly (string | Variable)[]): string {
  return words.map((word) => (typeof word === 'string' ? shellQuote(word) : `"$${word.variable}"`)).join(' ');
}

/** A command of this program that reaches the configuration of this document. */
export function holdfast({ again }: RunbookFacts, ...words: (string | Variable)[]): string {
  return commandLine(['holdfast', ...words, ...again]);
}

/** A command of Temporal's own program on this server. */
export function temporal(facts: RunbookFacts, ...words: (string | Variable)[]): string {
  const { address, namespace } = facts.temporal;
  return commandLine(['temporal', ...words, '--address', address, '--namespace', namespace]);
}
