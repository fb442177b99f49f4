import type fc from 'fast-check';
import type { AuditedDatabase, AuditedNode } from '../../../../src/repository/audit/facts.ts';
import { DAY, days } from './generated-basics.ts';
import { plain } from './generated-history.ts';

const SEGMENT_MS = DAY / 4;

export const lockLengths: fc.Arbitrary<number> = days(20).map((length) => length * DAY);

/**
 * The same history of a database whose logs are shipped: dumps lead into them, a new timeline is a lineage of its own, and
 * each run is records that are listed by their keys, and contents that are read in their versions.
 */
export function asShipped(database: AuditedDatabase, shippedLockMs: number): AuditedDatabase {
  const { name, policy, nodes } = database;
  const logs = nodes.flatMap((node) => (node.kind === 'logs' ? [shippedRun(name, node)] : []));
  const others = nodes.filter(({ kind }) => kind === 'logical' || kind === 'snapshot');
  return {
    ...database,
    policy: { ...policy, fulls: [], diffs: [], shippedLockMs },
    nodes: [
      ...others.map((node) => (node.kind === 'logical' ? { ...node, ...replayOf(node, logs) } : node)),
      ...logs,
    ],
  };
}

function shippedRun(name: string, node: AuditedNode): AuditedNode {
  const { timeline = 1, first = 0, last = 0, archive = '' } = node.segments ?? {};
  const lineage = `${archive.includes('before') ? 'old' : 'server'}-${timeline}.1`;
  const key = (number: number, file: string) =>
    `log/${name}/${lineage}/binlog.${String(number).padStart(6, '0')}/${file}`;
  const ends = [...new Set([first, last])];
  return {
    ...node,
    id: `logs ${lineage} ${first}..${last}`,
    readBy: 'version',
    versions: [
      ...ends.map((number) => plain(key(number, 'a_b_none_none.json'), node.finishedAt, 800)),
      ...ends.map((number) => plain(key(number, '1.zst'), node.finishedAt, 1_048_576)),
    ],
    segments: { archive: lineage, timeline: 1, first, last },
  };
}

/** Into the log of its time; where that is not there yet, behind the newest. */
function replayOf({ startedAt }: AuditedNode, logs: readonly AuditedNode[]): Pick<AuditedNode, 'replayFrom'> {
  const number = Math.floor(startedAt / SEGMENT_MS);
  const newest = logs.toSorted((a, b) => b.finishedAt - a.finishedAt)[0]?.segments;
  const own = logs.find(
    ({ segments }) => segments !== undefined && segments.first <= number && number <= segments.last,
  );
  const archive = own?.segments?.archive ?? newest?.archive;
  const isOpen = newest !== undefined && archive === newest.archive && number > newest.last;
  const place = isOpen ? { first: newest.last + 1, stop: newest.last } : { first: number, stop: number };
  return { replayFrom: { ...(archive === undefined ? {} : { archive }), timeline: 1, ...place } };
}
