/** How far a long piece of work is. An activity's heartbeat carries it; the CLI reads it from there. */
export interface Progress {
  /** what is being counted just now, for people: `uploading`, `replaying logs`, `comparing public.orders` */
  phase: string;
  done?: number;
  total?: number;
  unit?: 'bytes' | 'rows' | 'segments' | 'tables';
  /** free text: `at 0/5000148, 2026-01-31T14:04:58Z` */
  detail?: string;
}

/** What every long-running function of an engine takes beside its input. */
export interface Run {
  /** aborts the work; the function then rejects with the signal's reason once its processes have ended */
  signal: AbortSignal;
  progress: (progress: Progress) => void;
}
