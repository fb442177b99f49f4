import type { Manifest } from '../../model/backup.ts';
import { HoldfastError } from '../../model/failure.ts';
import { containsGtid, parseGtid, parseGtids } from '../../model/gtid.ts';
import { isBefore, type LogPosition, readPosition } from '../../model/log-position.ts';
import { countOf } from '../../model/plan.ts';
import { flavourOf, serverMajorOf } from '../../model/server-major.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import { consistentAt } from '../bases.ts';
import type { Choice, Situation } from '../choice.ts';
import { whatIs } from '../choice-refusals.ts';
import { logOver, provenUntil, runsOf, type ShippedStretch, shippedBases, stretchFrom } from './chain.ts';
import { type ShippedLog, timelineOf } from './name.ts';

type Aim = Situation & { shipped: readonly ShippedLog[] };

/**
 * The logical backup to load and the logs that lead from it to the target, or the reason why there is none, as
 * `chooseBackup` says it. The newest base that can.
 */
export function chooseShipped(situation: Aim): Choice {
  const { target, manifests, shipped } = situation;
  if ('backup' in target) return chooseById(situation, target.backup);
  if ('xid' in target || 'name' in target || 'optime' in target) {
    throw new HoldfastError('NotSupported', `${describeTarget(target)} is no target for MySQL`, {
      hint: 'give a time, gtid, lsn (a position such as binlog.000004:1234), latest or backup',
    });
  }
  const bases = shippedBases(manifests);
  if (bases.length === 0) throw noBase(situation);
  const runs = runsOf(shipped);
  const stretches = onTimeline(
    situation,
    bases.map((base) => stretchFrom(base, runs)),
  );
  if ('time' in target) return chooseByTime(situation, stretches, Date.parse(target.time.replace(' ', 'T')));
  if ('lsn' in target) return chooseByPosition(situation, stretches, target.lsn);
  if ('gtid' in target) return chooseByGtid(situation, stretches, target.gtid);
  return chooseNewest(situation, stretches);
}

/** Names of logs come again when a server counts anew: a timeline tells them apart. */
function onTimeline({ target }: Aim, stretches: ShippedStretch[]): ShippedStretch[] {
  const wanted = target.timeline;
  const timelineIn = ({ lineage }: ShippedStretch) => (lineage === null ? null : timelineOf(lineage));
  const own = stretches.filter((stretch) => wanted === undefined || timelineIn(stretch) === wanted);
  if (own.length > 0) return own;
  const known = [...new Set(stretches.map(timelineIn))].filter((timeline) => timeline !== null);
  throw new HoldfastError('TargetNotRecoverable', `timeline ${wanted} cannot be reached from any base`, {
    hint: `the timelines are ${known.join(', ')}`,
  });
}

function chooseByTime(situation: Aim, stretches: readonly ShippedStretch[], time: number): Choice {
  const { target, now } = situation;
  if (time > now.getTime()) {
    throw new HoldfastError('TargetNotRecoverable', `the target ${describeTarget(target)} is in the future`, {
      hint: `it is ${now.toISOString()} now: give an earlier time with its offset, or latest`,
    });
  }
  const early = stretches.filter(({ base }) => consistentAt(base) <= time);
  if (early.length === 0) throw beforeOldest(situation, stretches);
  for (const stretch of early) {
    if (consistentAt(stretch.base) === time) return choiceOf(stretch, null, 'yes');
    // What commits in the last second of a log may lie in the next one.
    const last = logOver(stretch.logs, time);
    if (last !== undefined) return choiceOf(stretch, last, 'yes');
  }
  return closeable(situation, early);
}

function chooseByPosition(situation: Aim, stretches: readonly ShippedStretch[], position: string): Choice {
  const to = positionOf(position, situation.target);
  const early = stretches.filter(({ base: { positions } }) => {
    const from = readPosition(positions.start ?? '');
    return from === null || !isBefore(to, from);
  });
  if (early.length === 0) throw beforeOldest(situation, stretches);
  for (const stretch of early) {
    const last = stretch.logs.find(({ name }) => name === to.log);
    if (last !== undefined) return choiceOf(stretch, last, 'yes');
  }
  return closeable(situation, early);
}

const flavourOfBase = (base: Manifest) => flavourOf(serverMajorOf(base));

/** Which log holds it only their records tell: so the newest base that is without it, and every log behind it. */
function chooseByGtid(situation: Aim, stretches: readonly ShippedStretch[], gtid: string): Choice {
  if (stretches.every(({ base }) => base.positions.gtid == null)) {
    throw new HoldfastError('NotSupported', `${describeTarget(situation.target)}: the server has no GTIDs`, {
      hint: 'give a time, or a position: --lsn binlog.000004:1234',
    });
  }
  const wanted = parseGtid(gtid);
  const isOther = stretches.some(({ base }) => flavourOfBase(base) !== wanted.flavour);
  if (isOther) {
    throw new HoldfastError('InvalidInput', `${describeTarget(situation.target)} is no GTID of this server`, {
      hint:
        wanted.flavour === 'mysql'
          ? 'MariaDB writes a GTID as 0-1-23'
          : 'MySQL writes a GTID as 3e11fa47-71ca-11e1-9e33-c80aa9429562:23',
    });
  }
  const without = stretches.filter(
    ({ base: { positions } }) =>
      positions.gtid != null && !containsGtid(parseGtids(positions.gtid, wanted.flavour), wanted),
  );
  const [newest] = without;
  if (newest === undefined) throw beforeOldest(situation, stretches);
  return choiceOf(newest, newest.logs.at(-1) ?? null, 'yes');
}

function chooseNewest(situation: Aim, stretches: readonly ShippedStretch[]): Choice {
  const open = stretches.find(({ isOpen }) => isOpen);
  if (open !== undefined) return choiceOf(open, open.logs.at(-1) ?? null, 'yes');
  const newest = stretches[0] as ShippedStretch;
  if (situation.beyondGap !== 'leave') throw gapError(situation, newest);
  const choice = choiceOf(newest, newest.logs.at(-1) ?? null, 'yes');
  const notice = `${whatEnds(newest)}: the recovery ends before, and what committed later than ${new Date(provenUntil(newest)).toISOString()} is lost`;
  return { ...choice, notices: [...choice.notices, notice], beforeReplay: notice };
}

function chooseById({ manifests }: Aim, id: string): Choice {
  const manifest = manifests.find((candidate) => candidate.id === id);
  if (manifest === undefined) {
    const newest = shippedBases(manifests)
      .slice(0, 5)
      .map((candidate) => candidate.id);
    throw new HoldfastError('UnknownBackup', `there is no backup ${id}`, {
      hint: newest.length === 0 ? 'there is no logical backup at all' : `the newest are ${newest.join(', ')}`,
    });
  }
  const notices =
    manifest.copyOf === undefined ? [] : [`it is ${whatIs(manifest)}, restored from its snapshot alone`];
  const alone = { base: manifest, lineage: null, logs: [], hole: null, isOpen: false };
  return { ...choiceOf(alone, null, 'yes'), notices };
}

/** Nothing shipped proves the target. Where no log is missing, production can still close the current one. */
function closeable(situation: Aim, early: readonly ShippedStretch[]): Choice {
  const newest = early.find(({ isOpen }) => isOpen);
  if (newest === undefined) throw gapError(situation, early[0] as ShippedStretch);
  return choiceOf(newest, newest.logs.at(-1) ?? null, 'needs-closing');
}

function choiceOf(stretch: ShippedStretch, last: ShippedLog | null, reachable: Choice['reachable']): Choice {
  const { base, lineage, logs } = stretch;
  const count = last === null ? 0 : logs.indexOf(last) + 1;
  return {
    manifest: base,
    timeline: lineage === null ? 1 : timelineOf(lineage),
    firstLog: count === 0 ? null : (logs[0]?.name ?? null),
    lastLog: last?.name ?? null,
    segments: count,
    reachable,
    notices: [],
    ...(lineage === null || count === 0 ? {} : { lineage }),
  };
}

/** Throws InvalidInput for PostgreSQL's form. */
function positionOf(text: string, target: Target): LogPosition {
  const position = readPosition(text);
  if (position !== null) return position;
  throw new HoldfastError('InvalidInput', `${describeTarget(target)} is no position in MySQL's logs`, {
    hint: 'write the log and the position in it: binlog.000004:1234',
  });
}

function beforeOldest(situation: Aim, stretches: readonly ShippedStretch[]): HoldfastError {
  const oldest = stretches.at(-1)?.base;
  const at = oldest === undefined ? 'none' : new Date(consistentAt(oldest)).toISOString();
  return new HoldfastError(
    'TargetNotRecoverable',
    `${describeTarget(situation.target)} is before the oldest moment that can be recovered, ${at}`,
    { hint: `holdfast catalog ${oldest?.database} shows the window` },
  );
}

/** Why a replay does not go on to what the server writes now. */
function whatEnds({ base, hole, logs }: ShippedStretch): string {
  if (hole === null) {
    return `the server was replaced, or counts its logs anew, after ${logs.at(-1)?.name ?? `backup ${base.id}`}, and no logical backup was taken since`;
  }
  const { count, firstMissing, lastMissing } = hole;
  if (count === 0) return `${firstMissing} does not go on from the log before it`;
  const which = count === 1 ? firstMissing : `${firstMissing} to ${lastMissing}`;
  return `${countOf(count, 'log')} missing in the repository (${which})`;
}

export function gapError({ target }: Pick<Aim, 'target'>, stretch: ShippedStretch): HoldfastError {
  return new HoldfastError('LogGap', `${describeTarget(target)} cannot be reached: ${whatEnds(stretch)}`, {
    hint: `the last moment before the gap that can be recovered is ${new Date(provenUntil(stretch)).toISOString()}`,
  });
}

function noBase({ manifests, target }: Aim): HoldfastError {
  const logical = manifests.find(({ tier }) => tier === 'logical');
  const database = manifests[0]?.database ?? '<database>';
  return logical === undefined
    ? new HoldfastError(
        'TargetNotRecoverable',
        `${describeTarget(target)} cannot be reached: there is no logical backup`,
        {
          hint: `take one with holdfast backup ${database} --tier logical; what happened before it cannot be recovered`,
        },
      )
    : new HoldfastError(
        'TargetNotRecoverable',
        `${describeTarget(target)} cannot be reached: no logical backup knows where it stands in the logs`,
        {
          hint: `see the notices of ${logical.id}: the user needs RELOAD, and the server its binary log; or give --backup ${logical.id}`,
        },
      );
}
