/** Why no snapshot is made now; `id`: of the one that the month has, null: it has none. */
export interface NoSnapshot {
  id: string | null;
  skipped: string;
}
