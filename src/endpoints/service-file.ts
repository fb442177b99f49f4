import { applyEdits, type Edit, linesOf, type Span } from './spans.ts';
import type { Rewriting } from './variables.ts';

/**
 * A section of libpq's connection service file. Of two sections of a name libpq takes the first, of two lines for a
 * keyword as well, and `hostaddr` before `host`: a section that has it is left alone.
 */
export function serviceSection(name: string): Rewriting {
  return {
    read(text) {
      const found = sectionOf(text, name);
      if (found === null || found.host === null || found.hasAddress) return null;
      const port = found.port === null ? 5432 : Number(text.slice(found.port.start, found.port.end));
      const host = text.slice(found.host.start, found.host.end);
      return host === '' || !Number.isInteger(port) ? null : { host, port };
    },
    rewrite(text, { host, port }) {
      const found = sectionOf(text, name);
      if (found === null || found.hasAddress) return null;
      const edits: Edit[] = [];
      let missing = '';
      if (found.host === null) missing += `host=${host}${found.lineEnd}`;
      else edits.push({ ...found.host, text: host });
      if (found.port === null) missing += `port=${port}${found.lineEnd}`;
      else edits.push({ ...found.port, text: String(port) });
      if (missing !== '') edits.push({ start: found.body, end: found.body, text: missing });
      return applyEdits(text, edits);
    },
  };
}

interface Section {
  /** where its first line is */
  body: number;
  lineEnd: string;
  host: Span | null;
  port: Span | null;
  hasAddress: boolean;
}

function sectionOf(text: string, name: string): Section | null {
  let section: Section | null = null;
  for (const line of linesOf(text)) {
    const trimmed = line.text.trim();
    if (section === null) {
      const lineEnd = text.startsWith('\r\n', line.end) ? '\r\n' : '\n';
      const body = line.end + lineEnd.length;
      // The last line without a line break has no place behind it.
      if (trimmed === `[${name}]` && body <= text.length) {
        section = { body, lineEnd, host: null, port: null, hasAddress: false };
      }
      continue;
    }
    if (trimmed.startsWith('[')) break;
    const set = /^([ \t]*(host|port|hostaddr)=)(.*?)[ \t]*$/.exec(line.text);
    if (set === null) continue;
    const start = line.start + (set[1]?.length ?? 0);
    const span = { start, end: start + (set[3]?.length ?? 0) };
    if (set[2] === 'host') section.host ??= span;
    else if (set[2] === 'port') section.port ??= span;
    else section.hasAddress = true;
  }
  return section;
}
