import { formatGtid, formatGtids, type Interval, mariadbPosition, mysqlSet } from '../../../model/gtid.ts';
import type { GtidContent, PreviousGtidsContent } from './event.ts';
import { Fields, formatUuid } from './fields.ts';
import { Malformed } from './malformed.ts';

const UNKNOWN: Omit<GtidContent, 'gtid'> = {
  type: 'gtid',
  ...{ committedAt: null, originallyCommittedAt: null },
  ...{ lastCommitted: null, sequenceNumber: null, transactionLength: null },
  ...{ isStandalone: null, isDdl: null, xa: null, alter: null },
};

const HAS_SECOND_TIME = 1n << 55n;
const LOGICAL_TIMESTAMPS = 2;

/** GTID_LOG_EVENT and ANONYMOUS_GTID_LOG_EVENT. Source: `Gtid_event` of MySQL's control_events.h. */
export function decodeGtid(body: Buffer, isAnonymous: boolean): GtidContent {
  const fields = new Fields(body);
  fields.skip(1);
  const source = formatUuid(fields.bytes(16));
  const number = fields.big(8);
  const content: GtidContent = {
    ...UNKNOWN,
    gtid: isAnonymous ? null : formatGtid({ flavour: 'mysql', source, number }),
  };
  // 5.6 ends here, 5.7 before the times.
  if (fields.left < 17 || fields.number(1) !== LOGICAL_TIMESTAMPS) return content;
  content.lastCommitted = Number(fields.big(8));
  content.sequenceNumber = Number(fields.big(8));
  if (fields.left < 7) return content;
  const immediate = fields.big(7);
  content.committedAt = immediate & ~HAS_SECOND_TIME;
  content.originallyCommittedAt = immediate & HAS_SECOND_TIME ? fields.big(7) : content.committedAt;
  if (fields.left > 0) content.transactionLength = fields.packed();
  return content;
}

/** GTID_TAGGED_LOG_EVENT (8.3+), in the format of mysql::serialization: numbered fields, some left out. */
export function decodeTaggedGtid(body: Buffer): GtidContent {
  const fields = new Fields(body);
  // Its version, its length and the last field that may not be passed over.
  for (let i = 0; i < 3; i += 1) fields.variable();
  let uuid = '';
  let tag = '';
  let number = 0n;
  const content: GtidContent = { ...UNKNOWN, gtid: null };
  while (fields.left > 0) {
    const id = Number(fields.variable());
    if (id === 0) fields.variable();
    else if (id === 1) uuid = formatUuid(Uint8Array.from({ length: 16 }, () => Number(fields.variable())));
    else if (id === 2) number = fields.signedVariable();
    else if (id === 3) tag = fields.text(Number(fields.variable()));
    else if (id === 4) content.lastCommitted = Number(fields.signedVariable());
    else if (id === 5) content.sequenceNumber = Number(fields.signedVariable());
    else if (id === 6) content.committedAt = fields.variable();
    else if (id === 7) content.originallyCommittedAt = fields.variable();
    else if (id === 8) content.transactionLength = Number(fields.variable());
    else break;
  }
  if (uuid === '' || number < 1n) throw new Malformed('no GTID');
  content.originallyCommittedAt ??= content.committedAt;
  content.gtid = formatGtid({ flavour: 'mysql', source: tag === '' ? uuid : `${uuid}:${tag}`, number });
  return content;
}

const STANDALONE = 1;
const GROUP_COMMIT = 2;
const DDL = 32;
const PREPARED_XA = 64;
const COMPLETED_XA = 128;
const MULTI_ENGINE = 1;
const START_ALTER = 2;
const COMMIT_ALTER = 4;
const ROLLBACK_ALTER = 8;

/** MariaDB's GTID_EVENT. Source: `Gtid_log_event` of its sql/log_event.cc; the log has no time of the commit. */
export function decodeMariadbGtid(body: Buffer, server: number): GtidContent {
  const fields = new Fields(body);
  const sequence = fields.big(8);
  const domain = fields.number(4);
  const flags = fields.number(1);
  if (flags & GROUP_COMMIT) fields.skip(8);
  if (flags & (PREPARED_XA | COMPLETED_XA)) {
    fields.skip(4);
    fields.skip(fields.number(1) + fields.number(1));
  }
  // Without any of these the event is filled up with zeros.
  const more = fields.left > 0 ? fields.number(1) : 0;
  if (more & MULTI_ENGINE) fields.skip(1);
  return {
    ...UNKNOWN,
    gtid: formatGtid({ flavour: 'mariadb', domain, server, sequence }),
    isStandalone: (flags & STANDALONE) !== 0,
    isDdl: (flags & DDL) !== 0,
    xa: flags & PREPARED_XA ? 'prepared' : flags & COMPLETED_XA ? 'completed' : null,
    alter:
      more & START_ALTER
        ? 'start'
        : more & COMMIT_ALTER
          ? 'commit'
          : more & ROLLBACK_ALTER
            ? 'rollback'
            : null,
  };
}

const TAGGED = 1;

/** MySQL's PREVIOUS_GTIDS_LOG_EVENT. Source: `Gtid_set::encode` of sql/rpl_gtid_set.cc. */
export function decodePreviousGtids(body: Buffer): PreviousGtidsContent {
  const fields = new Fields(body);
  const head = fields.big(8);
  const isTagged = Number(head >> 56n) === TAGGED;
  const count = isTagged ? (head >> 8n) & 0xffff_ffff_ffn : head;
  const sources: [string, Interval[]][] = [];
  for (let i = 0n; i < count; i += 1n) {
    const uuid = formatUuid(fields.bytes(16));
    const tag = isTagged ? fields.text(Number(fields.variable())) : '';
    const intervals: Interval[] = [];
    for (let left = fields.big(8); left > 0n; left -= 1n) {
      // The end is the first number that is not in it.
      intervals.push({ first: fields.big(8), last: fields.big(8) - 1n });
    }
    sources.push([tag === '' ? uuid : `${uuid}:${tag}`, intervals]);
  }
  const gtids = formatGtids(mysqlSet(sources));
  return { type: 'previous-gtids', gtids, state: gtids };
}

/** MariaDB's GTID_LIST_EVENT: of each domain the latest transaction comes last. Source: sql/log_event.h. */
export function decodeMariadbGtidList(body: Buffer): PreviousGtidsContent {
  const fields = new Fields(body);
  const count = fields.number(4) & 0x0fff_ffff;
  const state: string[] = [];
  const domains = new Map<number, { server: number; sequence: bigint }>();
  for (let i = 0; i < count; i += 1) {
    const [domain, server, sequence] = [fields.number(4), fields.number(4), fields.big(8)];
    state.push(formatGtid({ flavour: 'mariadb', domain, server, sequence }));
    domains.set(domain, { server, sequence });
  }
  return { type: 'previous-gtids', gtids: formatGtids(mariadbPosition(domains)), state: state.join(',') };
}
