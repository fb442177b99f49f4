import type { BinlogEvent, GtidContent, QueryContent, RowsContent } from './event.ts';
import { classify, type Statement, tableNameOf } from './statement.ts';
import { formatMicroseconds, type TouchedTable, type Transaction } from './transaction.ts';

/** Statements that a transaction keeps; a bulk load as statements has millions. */
const STATEMENTS_KEPT = 100;

/**
 * Puts events together to transactions, in the order of the log; the last one may be incomplete. Both flavours' rules:
 * `Transaction_boundary_parser` of MySQL's trx_boundary_parser.cpp; MariaDB's GTID stands for BEGIN and tells whether a
 * single statement follows.
 */
export async function* transactions(events: AsyncIterable<BinlogEvent>): AsyncGenerator<Transaction, void> {
  const grouping = new Grouping();
  for await (const event of events) {
    const before = grouping.push(event);
    if (before !== null) yield before;
  }
  const last = grouping.end();
  if (last !== null) yield last;
}

/** The same, event by event, for who has the events already. */
export class Grouping {
  #current: Draft | null = null;

  /** The transaction that this event ends; one that another breaks off, as incomplete. */
  push(event: BinlogEvent): Transaction | null {
    if (event.type === 'gtid') {
      const broken = this.end();
      this.#current = new Draft(event, event);
      return broken;
    }
    // Between two transactions it changes nothing.
    const isIdle = event.type === 'unknown' && this.#current === null;
    if (isIdle || !BELONGS.has(event.type)) return null;
    this.#current ??= new Draft(event, null);
    if (!this.#current.add(event)) return null;
    const finished = this.#current.finish(true);
    this.#current = null;
    return finished;
  }

  /** What is there at the end of the log. */
  end(): Transaction | null {
    const current = this.#current;
    this.#current = null;
    return current?.finish(false) ?? null;
  }

  /** Where the transaction begins that is not at its end yet; null: between two. */
  get openSince(): number | null {
    return this.#current?.start ?? null;
  }
}

const BELONGS: ReadonlySet<BinlogEvent['type']> = new Set([
  ...(['query', 'xid', 'xa-prepare', 'table-map', 'rows', 'payload', 'incident', 'unknown'] as const),
]);

class Draft {
  readonly start: number;
  readonly #gtid: GtidContent | null;
  readonly #serverId: number;
  #end: number;
  #timestamp: number;
  /** it ends with a COMMIT of some kind, not with its first statement */
  #isBegun: boolean;
  #isRolledBack = false;
  #statements = 0;
  readonly #tables = new Map<string, TouchedTable>();
  readonly #ddl: Statement[] = [];
  readonly #dataStatements: Statement[] = [];
  #isCut = false;
  #xa: Transaction['xa'] = null;
  #incident: string | null = null;

  constructor(event: BinlogEvent, gtid: GtidContent | null) {
    this.start = event.start;
    this.#end = event.end;
    this.#timestamp = event.timestamp;
    this.#serverId = event.serverId;
    this.#gtid = gtid;
    this.#isBegun = gtid?.isStandalone === false;
  }

  /** Whether the transaction is at its end with this event. */
  add(event: BinlogEvent): boolean {
    this.#end = event.end;
    switch (event.type) {
      case 'query':
        return this.#query(event, event.timestamp);
      case 'rows':
        this.#rows(event);
        return false;
      case 'xid':
        this.#timestamp = event.timestamp;
        return true;
      case 'xa-prepare':
        this.#timestamp = event.timestamp;
        this.#xa = { step: event.isOnePhase ? 'one-phase' : 'prepare', xid: event.xid };
        return true;
      case 'unknown':
        this.#isCut = true;
        return false;
      case 'incident':
        this.#incident = event.message;
        return !this.#isBegun;
      default:
        return false;
    }
  }

  finish(isComplete: boolean): Transaction {
    const exact = this.#gtid?.committedAt ?? null;
    const committedAt = exact ?? BigInt(this.#timestamp) * 1_000_000n;
    return {
      ...{ start: this.start, end: this.#end, gtid: this.#gtid?.gtid ?? null, serverId: this.#serverId },
      ...{ committedAt, committedAtText: formatMicroseconds(committedAt, exact !== null) },
      ...{ isExact: exact !== null, isComplete, isRolledBack: this.#isRolledBack },
      ...{ statements: this.#statements, tables: [...this.#tables.values()] },
      ...{ ddl: this.#ddl, dataStatements: this.#dataStatements, isCut: this.#isCut },
      ...{ xa: this.#xa, incident: this.#incident },
    };
  }

  #query(query: QueryContent, timestamp: number): boolean {
    const statement = classify(query);
    switch (statement.kind) {
      case 'begin':
        this.#isBegun = true;
        return false;
      case 'commit':
      case 'rollback':
        this.#isRolledBack = statement.kind === 'rollback';
        this.#timestamp = timestamp;
        return true;
      case 'xa':
        return this.#xaStep(statement, timestamp);
      case 'savepoint':
        return false;
      default:
        this.#timestamp = timestamp;
        this.#keep(statement);
        return !this.#isBegun;
    }
  }

  #xaStep({ xa }: Statement, timestamp: number): boolean {
    if (xa === null || xa.step === 'start' || xa.step === 'end' || xa.step === 'prepare') {
      this.#isBegun = true;
      return false;
    }
    this.#xa = { step: xa.step, xid: xa.xid };
    this.#timestamp = timestamp;
    return true;
  }

  #keep(statement: Statement): void {
    this.#statements += 1;
    // The beginning of an ALTER in two steps has done nothing yet, nor has one that was given up.
    const isIdle = this.#gtid?.alter === 'start' || this.#gtid?.alter === 'rollback';
    const list =
      statement.kind === 'data' ? this.#dataStatements : DEFINES.has(statement.kind) ? this.#ddl : null;
    if (list === null || isIdle) return;
    if (list.length < STATEMENTS_KEPT) list.push(statement);
    else this.#isCut = true;
  }

  #rows({ table, action, rows, isStatementEnd }: RowsContent): void {
    if (isStatementEnd) this.#statements += 1;
    if (table === null) return;
    const name = tableNameOf(table);
    const touched = this.#tables.get(name) ?? emptyTable(name);
    this.#tables.set(name, touched);
    if (rows === null) touched.isUncounted = true;
    else touched[COUNTED[action]] += rows;
  }
}

const COUNTED = { insert: 'inserted', update: 'updated', delete: 'deleted' } as const;

const DEFINES: ReadonlySet<Statement['kind']> = new Set([
  ...(['create', 'drop', 'truncate', 'alter', 'rename', 'definition'] as const),
  ...(['create-database', 'alter-database', 'drop-database'] as const),
]);

function emptyTable(table: string): TouchedTable {
  return { table, inserted: 0, updated: 0, deleted: 0, isUncounted: false };
}
