/** Whose cities go, and who stays: the application writes to no city of the first. */
export const COUNTRY = 'IT';
export const SAFE_COUNTRY = 'FR';

/** What a table's rows that the accident deletes are: their number and the sum of their hashes. */
export interface Measure {
  table: string;
  rows: number;
  checksum: string;
}

export interface Accident {
  /** the moment just before, by the database's clock, in microseconds: the target of the recovery */
  before: string;
  /** orders placed earlier than this were deleted; as a literal of the database */
  cutoff: string;
  lost: Measure[];
}
