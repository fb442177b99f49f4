import { FOLDERS, shippedLogOf, TOOL_FOLDER } from '../layout.ts';
import { parseLogFile } from '../logs.ts';

/** What a key is, by its name alone. */
export type Place =
  /** a log in the archive of a stanza */
  | { kind: 'log'; stanza: string; archive: string; name: string }
  /** what the tool or a server reads at every step: the tool's `info`, histories of timelines */
  | { kind: 'tool-file'; stanza: string }
  | { kind: 'base'; stanza: string; label: string; file: string }
  /** the tool's own notes, which nothing needs */
  | { kind: 'tool-note'; stanza: string }
  | { kind: 'backup'; tier: 'logical' | 'snapshot'; database: string; id: string }
  /** of a log that we ship: its record or a part of its content */
  | { kind: 'shipped'; database: string; lineage: string; folder: string }
  | { kind: 'manifest'; database: string; id: string }
  /** what lies beside a manifest */
  | { kind: 'beside'; database: string; id: string }
  /** heartbeats, evidence, records: of a database, but no backup */
  | { kind: 'record'; database: string }
  /** of the installation itself */
  | { kind: 'own' }
  | { kind: 'unknown'; folder: string };

/** Of the whole installation, not of one database. */
const OWN: readonly string[] = [FOLDERS.doctor, FOLDERS.audit, FOLDERS.repair];
const OURS: readonly string[] = Object.values(FOLDERS);
const LABEL = /^\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?$/;

export function placeOf(key: string): Place {
  const [top = '', second = '', third = '', ...rest] = key.split('/');
  const unknown: Place = { kind: 'unknown', folder: key.includes('/') ? `${top}/` : key };
  if (top === TOOL_FOLDER) return toolPlace(second, third, rest) ?? unknown;
  const folder = `${top}/`;
  if (OWN.includes(folder)) return { kind: 'own' };
  if (!OURS.includes(folder) || second === '') return unknown;
  if (folder === FOLDERS.topology) return { kind: 'record', database: second.replace(/\.json$/, '') };
  if (third === '') return unknown;
  if (folder === FOLDERS.manifest) return manifestPlace(second, third, rest);
  const shipped = folder === FOLDERS.log ? shippedLogOf(key) : null;
  if (shipped !== null) return { kind: 'shipped', ...shipped };
  return top === 'logical' || top === 'snapshot'
    ? { kind: 'backup', tier: top, database: second, id: third }
    : { kind: 'record', database: second };
}

function manifestPlace(database: string, name: string, rest: readonly string[]): Place {
  if (rest.length > 0) return { kind: 'beside', database, id: name };
  const id = /^(.*?)(?:\.RESTORE\.md|\.json)$/.exec(name)?.[1] ?? name;
  return { kind: name.endsWith('.json') ? 'manifest' : 'beside', database, id };
}

function toolPlace(tree: string, stanza: string, rest: readonly string[]): Place | null {
  const [first, ...below] = rest;
  if (first === undefined) return null;
  if (tree === 'backup') {
    if (/^backup\.info(?:\.copy)?$/.test(first)) return { kind: 'tool-file', stanza };
    return LABEL.test(first) && below.length > 0
      ? { kind: 'base', stanza, label: first, file: below.join('/') }
      : { kind: 'tool-note', stanza };
  }
  if (tree !== 'archive') return null;
  if (/^archive\.info(?:\.copy)?$/.test(first)) return { kind: 'tool-file', stanza };
  const log = parseLogFile(rest.at(-1) ?? '');
  if (log?.kind === 'history') return { kind: 'tool-file', stanza };
  return log?.kind === 'segment' && below.length > 0
    ? { kind: 'log', stanza, archive: first, name: log.name }
    : { kind: 'tool-note', stanza };
}
