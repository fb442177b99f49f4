export type Severity = 'critical' | 'warning' | 'info';

/** Something that people have to hear of; what a channel makes of it is the channel's. No rows, no secrets. */
export interface Alert {
  /**
   * What it is about, and since when: an alert of the same key is sent once, however often it is raised. Becomes part
   * of a workflow id.
   */
  key: string;
  severity: Severity;
  /** null: of the whole installation */
  database: string | null;
  /** one line */
  title: string;
  /** what happened; may have several lines */
  text: string;
  /** what to do */
  hint: string | null;
  /** the run to look at */
  workflowId: string | null;
  /** ISO 8601 */
  at: string;
}
