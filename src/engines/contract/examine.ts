import type { ServerAccess } from '../../model/access.ts';

export interface ExamineInput {
  access: ServerAccess;
  /** how old the newest archived log may become; null: logs are not archived */
  maxAgeMs: number | null;
  /** physical backups are taken */
  physical: boolean;
  /** of a server whose logs are shipped: the folder that they are read from; null or absent: through the server */
  logDirectory?: string | null;
}

/** One thing that was looked at: as it should be, or what is wrong and what to do. */
export interface Examined {
  what: string;
  ok: boolean;
  detail: string;
  hint: string | null;
}

/** What a production server says of itself. */
export interface ServerExamination {
  version: string;
  /** the server's clock, ISO 8601 */
  at: string;
  lines: Examined[];
}
