import type { DatabaseView } from '../config/describe.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { TakeoverConfig } from '../config/schema/database.ts';
import type { ServerExamination } from '../engines/contract/examine.ts';
import type { Engine } from '../engines/engine.ts';
import type { Manifest } from '../model/backup.ts';
import type { EngineKind } from '../model/engine.ts';
import { type Finding, look } from '../model/finding.ts';
import type { Run } from '../model/progress.ts';

export { type Finding, look };

/** What the checks look at: an installation, from this machine. */
export interface Installation {
  /** with databases where they live now, as far as that is known */
  loaded: LoadedConfig;
  databases: DatabaseView[];
  /** What a production server says of itself; asked once. Throws ConnectionFailed and the like. */
  examined(database: DatabaseView): Promise<Examination>;
  engines: Partial<Record<EngineKind, Engine>>;
  temporal: TemporalProbe;
  /** how long an S3 that is away is asked again */
  patienceMs: number;
  run: Run;
}

/** With the time of this machine, in milliseconds, before it was asked and after it answered. */
export type Examination = ServerExamination & { askedAt: number; answeredAt: number };

/** What they look at with `--site`: this machine, as a host of a site. */
export interface Patient extends Omit<Installation, 'temporal' | 'examined'> {
  site: string;
  /** of the databases, the ones that this site is to take over */
  takeovers: { database: DatabaseView; takeover: TakeoverConfig }[];
  /** The backup that a restore of a database would begin with. Throws UnknownBackup. */
  baseOf(database: DatabaseView): Promise<Manifest>;
  /** null: whoever asks is a worker, and knows */
  temporal: Pick<TemporalProbe, 'reach' | 'requireServed'> | null;
}

/** Temporal as the doctor needs it; whoever calls the doctor knows how to reach it. */
export interface TemporalProbe {
  /** Where it is. Throws ConnectionFailed, InvalidConfiguration. */
  reach(): Promise<string>;
  /** Throws NoWorker where a queue of the site, or of one of its hosts, is served by nobody. */
  requireServed(site: string, hosts: readonly string[]): Promise<void>;
  /** Throws NoWorker where a queue of a host is served by nobody, or that of control. */
  requireHosts(hosts: readonly string[]): Promise<void>;
  /** version of the server, and how long it keeps a run that has ended */
  describe(): Promise<{ version: string; retentionMs: number; attributes: string[] }>;
  /** ids of schedules that are missing, differ from what the configuration asks for, or are paused */
  schedules(): Promise<{ count: number; wrong: string[]; paused: string[] }>;
  /** Has a worker of the site look at its own machine. Throws NoWorker. */
  examineSite(site: string): Promise<{ findings: Finding[]; startedAt: Date; askedAt: Date }>;
}

/** Looks at one thing, or at one thing of every database. Never throws. */
export type Check<P = Patient> = (patient: P) => Promise<Finding[]>;

/** One after the other: what is measured of one must not disturb the next. */
export async function lookAtEach<T>(
  all: readonly T[],
  nameOf: (one: T) => string,
  work: (one: T) => Promise<string>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const one of all) findings.push(await look(nameOf(one), () => work(one)));
  return findings;
}
