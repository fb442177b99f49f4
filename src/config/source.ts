import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { HoldfastError } from '../model/failure.ts';

/** A YAML file as a value, and where each part of it stands. */
export interface Source {
  value: unknown;
  /** the line (from 1) of the key or entry at a path, else of the nearest part around it that is there */
  lineOf(path: readonly (string | number)[]): number | null;
}

/** Reads YAML 1.2 with merge keys. Throws InvalidConfiguration with file and line; never shows file content. */
export function readSource(text: string, file: string): Source {
  const counter = new LineCounter();
  // Pretty errors quote the line, which may hold what should not be shown.
  const document = parseDocument(text, { lineCounter: counter, merge: true, prettyErrors: false });
  const error = document.errors[0];
  if (error !== undefined) {
    const line = counter.linePos(error.pos[0]).line;
    throw new HoldfastError('InvalidConfiguration', `${file} line ${line}: not YAML: ${error.message}`, {
      hint: 'check the indentation and the quotes around this line',
    });
  }
  return {
    // A fleet that shares settings by anchors has many aliases: the limit is against hostile files.
    value: document.toJS({ maxAliasCount: -1 }),
    lineOf: (path) => lineOf(document, counter, path),
  };
}

function lineOf(document: Document, counter: LineCounter, path: readonly (string | number)[]): number | null {
  let node = document.contents as Node | null;
  let offset = node?.range?.[0] ?? null;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(part));
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value as Node | null;
    } else if (isSeq(node)) {
      node = (node.items[Number(part)] as Node | undefined) ?? null;
      offset = node?.range?.[0] ?? offset;
    } else {
      break;
    }
  }
  return offset === null ? null : counter.linePos(offset).line;
}
