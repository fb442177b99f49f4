/** A part of a text, to be replaced without touching any other byte. */
export interface Span {
  start: number;
  end: number;
}

export interface Edit extends Span {
  text: string;
}

export function applyEdits(text: string, edits: readonly Edit[]): string {
  // From the end, so that the positions before stay right.
  return [...edits]
    .sort((one, other) => other.start - one.start)
    .reduce((rest, { start, end, text: put }) => rest.slice(0, start) + put + rest.slice(end), text);
}

/** The lines of a text with their positions, without what ends them. */
export function* linesOf(text: string): Generator<Span & { text: string }> {
  let start = 0;
  while (start < text.length) {
    const feed = text.indexOf('\n', start);
    const next = feed === -1 ? text.length : feed + 1;
    let end = feed === -1 ? text.length : feed;
    if (text[end - 1] === '\r' && end > start) end -= 1;
    yield { start, end, text: text.slice(start, end) };
    start = next;
  }
}
