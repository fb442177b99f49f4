import { HoldfastError } from '../../../model/failure.ts';

const RETRY = 'nothing was changed; it can be tried again as it is';

/**
 * An error of production during the import as Holdfast's. The server's own text is not passed on: it may quote
 * row data; the names of constraint and table say enough. What is not known here is returned as it is.
 */
export function importError(error: unknown): unknown {
  if (error instanceof HoldfastError || !(error instanceof Error)) return error;
  const {
    code = '',
    constraint,
    table,
    schema,
  } = error as {
    code?: string;
    constraint?: string;
    table?: string;
    schema?: string;
  };
  const place = table === undefined ? 'production' : `${schema}.${table}`;
  if (code === '23503' || code === '23505' || code === '23P01') {
    const what = code === '23503' ? 'a row that it refers to is gone' : 'another row holds its unique key';
    return new HoldfastError(
      'PlanChanged',
      `production has changed since the plan was approved: for a row of ${place}, ${what} (constraint ${constraint})`,
      { hint: 'nothing was changed; look at the new plan and approve that', cause: undefined },
    );
  }
  if (code === '42P07' || code === '42710') {
    return new HoldfastError(
      'PlanChanged',
      'production has changed since the plan was approved: it has a table or type of the name that was to be made',
      { hint: 'nothing was changed; look at the new plan and approve that' },
    );
  }
  // Of a type, a function, a collation: these messages name objects, never values.
  if (code === '42704' || code === '42883') {
    return new HoldfastError(
      'NotSupported',
      `production lacks something of which a table is to be made: ${error.message}`,
      { hint: 'nothing was changed; create that in production first, and start the recovery again' },
    );
  }
  if (code === '23514' || code === '23502') {
    return new HoldfastError(
      'CheckFailed',
      `${place} refuses a row that was to come back (${constraint === undefined ? 'a column may not be null' : `constraint ${constraint}`})`,
      {
        hint: 'nothing was changed; relax the constraint, or recover without tables and copy the rows by hand',
      },
    );
  }
  if (code === '40P01' || code === '40001') {
    return new HoldfastError('LockNotAvailable', 'the import and another transaction waited for each other', {
      hint: RETRY,
    });
  }
  if (code === '55P03') {
    return new HoldfastError(
      'LockNotAvailable',
      'the tables were not had in time: other sessions hold locks on them',
      {
        hint: `${RETRY}; pg_locks in production shows who holds them`,
      },
    );
  }
  if (code === '25P03') {
    return new HoldfastError(
      'ConnectionFailed',
      'production ended the import, which had been idle for too long',
      {
        hint: RETRY,
      },
    );
  }
  if (/^22/.test(code)) {
    return new HoldfastError(
      'CheckFailed',
      `a value of the restored copy does not fit a column in ${place} any more`,
      {
        hint: 'nothing was changed; a column has changed its type since: recover without tables and copy the rows by hand',
      },
    );
  }
  if (/^(?:P0|38|39)/.test(code)) {
    return new HoldfastError(
      'CheckFailed',
      `a function of a constraint or column in ${place} refused a row that was to come back (error ${code})`,
      {
        hint: "nothing was changed; the server's own log has its words, which may hold row data and so are not repeated here",
      },
    );
  }
  return error;
}
