import { HoldfastError } from '../../../model/failure.ts';
import { refusalOf } from '../error.ts';

/** Numbers: "Server Error Message Reference" of MySQL's manual, "MariaDB Error Codes" of MariaDB's. */
const CHANGED: Record<number, string> = {
  1062: 'another row holds a unique key of a row that was to come back',
  1586: 'another row holds a unique key of a row that was to come back',
  1451: 'rows of another table refer to rows that are to go',
  1452: 'a row to which others refer is gone',
  1050: 'it has a table of the name that was to be made',
  1054: 'a column is gone',
  1146: 'a table is gone',
  1412: 'a table has been altered meanwhile',
};
const REFUSED = [1048, 1364, 3819, 4025, 1690, 1526];
const UNFIT = [1264, 1265, 1292, 1366, 1406, 3140, 1416, 3037, 1416];

/**
 * An error of production during the import as Holdfast's. The server's own text is not passed on: it may quote row data.
 * What is not known here is returned as it is.
 */
export function importError(error: unknown): unknown {
  const errno = refusalOf(error);
  if (errno === null) return error;
  const changed = CHANGED[errno];
  if (changed !== undefined) {
    return new HoldfastError(
      'PlanChanged',
      `production has changed since the plan was approved: ${changed}`,
      {
        hint: 'nothing was changed; look at the new plan and approve that',
      },
    );
  }
  if (REFUSED.includes(errno)) {
    return new HoldfastError(
      'CheckFailed',
      `production refuses a row that was to come back (error ${errno}): a check, or a column that may not be null`,
      {
        hint: 'nothing was changed; relax the constraint, or recover side-by-side and copy the rows by hand',
      },
    );
  }
  if (UNFIT.includes(errno)) {
    return new HoldfastError(
      'CheckFailed',
      `a value of the restored copy does not fit a column of production any more (error ${errno})`,
      { hint: 'nothing was changed; recover side-by-side and copy the rows by hand' },
    );
  }
  if (errno === 1205 || errno === 1213 || errno === 3572 || errno === 1969) {
    return new HoldfastError(
      'LockNotAvailable',
      'the tables were not had in time: other sessions hold locks on them',
      {
        hint: 'nothing was changed; it can be tried again as it is; SHOW PROCESSLIST in production shows who holds them',
      },
    );
  }
  return error;
}
