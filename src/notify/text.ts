import type { Message } from './channel.ts';

/** The message for people, its title on the first line. */
export function plainText({ title, text, hint, workflowId }: Message): string {
  return [
    title,
    ...(text === '' ? [] : [text]),
    ...(hint === null ? [] : [`HINT: ${hint}`]),
    ...(workflowId === null ? [] : [`holdfast status ${workflowId}`]),
  ].join('\n');
}
