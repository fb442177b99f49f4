/**
 * Where a table's data lies: the log names tables by it. A file node changes when a table is truncated or
 * rewritten, and is all that is left of a dropped one, so manifests keep it.
 */
export interface TableRelation {
  db: string;
  /** `schema.table` in the form of model/table.ts */
  table: string;
  /** `<tablespace oid>/<db oid>/<file node>`, as `pg_waldump` writes it; of a partitioned table one entry per leaf. Empty: the logs name tables (MySQL) */
  node: string;
  /** of the table, or of the leaf that has this node: exclusive locks are logged by it; empty with it */
  oid: string;
  /** ISO 8601: when it was read */
  at: string;
}
