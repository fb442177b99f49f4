import type { Readable } from 'node:stream';
import type { ServerAccess } from '../../model/access.ts';
import type { Run } from '../../model/progress.ts';

/**
 * Logs of a server that has no archiver of its own: a worker on its host brings them into the repository. Everything here
 * reads only, but for closing the current log, and leaves no log removed.
 */
export interface LogShipping {
  /**
   * What the server has, oldest first. Closes the current log where it is older than `maxAgeMs / 2`, be it empty: the end
   * of the one before proves nothing that is later. Throws NotSupported where the server writes no logs, and
   * InvalidConfiguration where the directory is not the one that it writes them to.
   */
  survey(input: SurveyInput, run: Run): Promise<LogSurvey>;

  /** When a log was begun, by its own first bytes: tells it from another one of the same name. Throws LogGap where it is gone. */
  begunAt(input: ReadLogInput, run: Run): Promise<string>;

  /** A closed log from its first byte to its last, as the server wrote it. Throws LogGap where it is gone. */
  read(input: ReadLogInput, run: Run): Promise<Readable>;

  /** What a log's content says of it; reads it to its end. Throws BackupUnusable where it is cut off or damaged. */
  summarize(content: AsyncIterable<Buffer>, run: Run): Promise<LogFacts>;
}

/** How a server's logs are reached. */
export interface LogPlace {
  access: ServerAccess;
  /** where its log files are on this host; null: they are read through the server */
  directory: string | null;
}

export interface SurveyInput extends LogPlace {
  /** null: nothing is closed */
  maxAgeMs: number | null;
}

export interface ReadLogInput extends LogPlace {
  log: ServerLog;
}

/** A log on the server. */
export interface ServerLog {
  /** as the server calls it, `binlog.000004` */
  name: string;
  sizeBytes: number;
}

export interface LogSurvey {
  /** the server's clock, ISO 8601 */
  at: string;
  /** who the server is: names of two servers' logs say nothing about each other */
  systemIdentifier: string;
  /** what is complete and will not change, oldest first */
  closed: ServerLog[];
  /** what is being written to */
  current: ServerLog;
  /** a log was closed in this round */
  switched: boolean;
}

/** What is known of a log from its content alone. */
export interface LogFacts {
  /** of its content, uncompressed */
  sizeBytes: number;
  sha256: string;
  serverVersion: string;
  /** ISO 8601, by the log itself: when it was begun. A session that has set its own time begins and ends logs in that time */
  createdAt: string;
  /** of its last event: whatever committed earlier is in this log, or in one before it */
  lastAt: string;
  /** of its latest commit; null: there is none */
  committedAt: string | null;
  /** every transaction before it and up to its end, as sets of GTIDs; null: the server has none */
  gtids: { before: string; after: string } | null;
  /** the log that the server went on with; null: it was stopped, or died */
  next: string | null;
  transactions: number;
  /** what people have to know of it, for instance that it holds statements, not rows */
  notices: string[];
}

/** A log in the repository, to be replayed or searched. */
export interface ShippedContent {
  name: string;
  /** of its content, uncompressed */
  sizeBytes: number;
  /** the content as the server wrote it, compared with its sha256 at its end: ChecksumMismatch */
  open(signal: AbortSignal): Readable;
}
