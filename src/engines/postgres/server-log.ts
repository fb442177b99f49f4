import { HoldfastError } from '../../model/failure.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import { parseSegmentName } from '../../model/wal.ts';

/** What the server says about the place where it stopped, in words for people; null: nothing yet. */
export function stopPosition(log: string): string | null {
  const found = /recovery stopping ((?:before|after|at) .*)/.exec(log);
  return found === null ? null : (found[1] as string).replace(/WAL location \(LSN\)/, 'LSN').trim();
}

export function ranOutOfLogs(log: string): boolean {
  return /recovery ended before configured recovery target was reached/.test(log);
}

/** Time of the last commit that was replayed before the server ended, ISO 8601. */
export function lastCommitInLog(log: string): string | null {
  const found = /last completed transaction was at log time (\S+) (\S+)/.exec(log);
  return found === null ? null : `${found[1]}T${(found[2] as string).replace(/\+00$/, 'Z')}`;
}

export interface EndOfServer {
  target: Target;
  timeline: number;
  log: string;
  /** the last log known to be in the repository */
  lastLog: string | null;
  /** the last log that was asked for and is not in the repository */
  missingLog: string | null;
}

/** What only files say that were damaged, or never belonged together. */
const INCONSISTENT =
  /(?:FATAL|PANIC): +(?:could not locate (?:a valid|required) checkpoint record|WAL contains references to invalid pages|invalid checkpoint record|.*invalid page in block)/;

/** Why a server ended before it reached its target, from its own log. */
export function failureOfServer(end: EndOfServer): HoldfastError {
  const { log, target } = end;
  if (ranOutOfLogs(log)) return outOfLogs(end);
  if (/No space left on device|could not extend file|could not write to file/.test(log)) {
    return new HoldfastError('NotEnoughSpace', 'the disk of the instance ran full while logs were replayed', {
      hint: 'free space on the site and resume: the replay goes on from where it is',
    });
  }
  const get = /holdfast: pgbackrest archive-get (\S+) ended with (\d+)/.exec(log);
  if (get !== null) return repositoryFailure(log, get[1] as string, get[2] as string);
  if (/requested recovery stop point is before consistent recovery point/.test(log)) {
    return new HoldfastError(
      'TargetNotRecoverable',
      `${describeTarget(target)} is before the point at which the chosen backup is consistent`,
      { hint: 'choose a backup that ended before the target, or a later target' },
    );
  }
  if (
    /requested timeline \d+ (?:is not a child|does not contain)|recovery target timeline \d+ does not exist/.test(
      log,
    )
  ) {
    return new HoldfastError(
      'TargetNotRecoverable',
      `timeline ${end.timeline} does not lead on from the chosen backup`,
      { hint: 'choose another timeline or a backup of that timeline: `holdfast catalog` shows both' },
    );
  }
  if (
    /Tablespace\/CREATE|pg_tblspc|tablespace/i.test(fatal(log)) ||
    /CONTEXT: {2}WAL redo at \S+ for Tablespace/.test(log)
  ) {
    return new HoldfastError(
      'NotSupported',
      'a tablespace was created after the chosen backup: its folder belongs to production and is out of reach of the instance',
      { hint: 'use a backup that was taken after the tablespace was created, or an earlier target' },
    );
  }
  if (/could not load library|could not access file/.test(log)) {
    return new HoldfastError('NotSupported', `the restored server misses a library: ${fatal(log)}`, {
      hint: "install production's extensions on this site",
    });
  }
  if (INCONSISTENT.test(log)) {
    return new HoldfastError('BackupUnusable', `the restored files do not fit together: ${fatal(log)}`, {
      hint: 'use another backup: holdfast catalog lists them',
    });
  }
  return new HoldfastError('ToolFailed', `the restored server ended: ${fatal(log) || 'it said nothing'}`, {
    hint: 'its log is in the folder log/ of the instance',
    retryable: false,
  });
}

function outOfLogs({ log, target, lastLog, missingLog }: EndOfServer): HoldfastError {
  const reached = numberOf(missingLog);
  const known = numberOf(lastLog);
  if (reached !== null && known !== null && reached <= known)
    return gap(missingLog as string, lastLog as string);
  const last = lastCommitInLog(log);
  const until = last === null ? 'no commit was found in them' : `the last commit in them was at ${last}`;
  return new HoldfastError(
    'TargetNotReached',
    `the logs ended, and ${describeTarget(target)} was not reached: ${until}`,
    {
      hint:
        last === null
          ? 'recover to latest, or to an earlier target'
          : `recover to latest, or to a time before ${last}; where production is alive, wait until its next log is archived and try again`,
    },
  );
}

/** A log is missing although later ones are there. */
export function gap(missing: string, lastLog: string): HoldfastError {
  return new HoldfastError('LogGap', `log ${missing} is not in the repository, though ${lastLog} is`, {
    hint: 'recover to a time before the gap, or from a backup that was taken after it',
  });
}

export function numberOf(log: string | null): bigint | null {
  return log === null ? null : (parseSegmentName(log)?.number ?? null);
}

/** What pgBackRest says of a file that it found, and read: the repository itself is all right. */
const DAMAGED_FILE = /^ *repo\d+: \S+ \[(?:FormatError|ChecksumError|CryptoError)\].*/m;

function repositoryFailure(log: string, wanted: string, code: string): HoldfastError {
  const said =
    [...log.matchAll(/(?:ERROR|WARN): (\[\d+\]: .*)/g)].at(-1)?.[1]?.slice(0, 300) ?? `exit code ${code}`;
  const damaged = DAMAGED_FILE.exec(log)?.[0].trim();
  if (damaged !== undefined) return damagedLog(wanted, damaged);
  if (
    /AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|\b403\b|CryptoError|decrypt/.test(log)
  ) {
    return new HoldfastError('RepositoryRefused', `the repository refused log ${wanted}: ${said}`, {
      hint: 'renew the credentials for restores and resume: the replay goes on from where it is',
    });
  }
  if (/checksum|ChecksumError|FormatError/.test(said)) return damagedLog(wanted, said);
  return new HoldfastError('RepositoryUnavailable', `log ${wanted} could not be fetched: ${said}`, {
    hint: 'it is tried again; the replay goes on from where it is',
  });
}

const damagedLog = (wanted: string, said: string): HoldfastError =>
  new HoldfastError('ChecksumMismatch', `log ${wanted} is damaged: ${said}`, {
    hint: 'recover to a time before it, or from a backup that was taken after it',
  });

/** The last message of weight, without what could quote a row. */
function fatal(log: string): string {
  const found = [...log.matchAll(/(?:FATAL|PANIC|ERROR): {2}(.*)/g)].at(-1);
  return (found?.[1] ?? '').slice(0, 300);
}
