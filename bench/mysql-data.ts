import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { shipLogs } from '../src/activities/shipping.ts';
import { resolveAccess } from '../src/config/access.ts';
import { findDatabase } from '../src/config/describe.ts';
import { type Connection, withConnection } from '../src/engines/mysql/connection.ts';
import { closeLog } from '../src/engines/mysql/log.ts';
import { mysql } from '../src/engines/mysql/mysql.ts';
import { openRepository } from '../src/repository/repository.ts';
import { listKnown } from '../src/repository/shipped/listing.ts';
import { NO_METRICS } from '../test/no-metrics.ts';
import { benchAccess, type MysqlStack } from './mysql-stack.ts';
import { FULL_SCALE } from './postgres-data.ts';

/** Rows at the full scale; all of them shrink and grow with it. */
const ACCOUNTS = 3_500_000;
const READINGS = 1_500_000;
const ENTRIES = 1_500_000;
/** Transactions between the base and the accident: logs to replay. */
const TRANSACTIONS_PER_SCALE = 400;
const CLIENTS = 4;
/** Rows of one statement: more would have to be kept for its rollback. */
const AT_A_TIME = 100_000;

/** The tables that the accident takes rows from: name, key, and which rows. */
export const ACCIDENT = [
  { table: 'readings', key: 'id', every: 75 },
  { table: 'accounts', key: 'id', every: 700 },
] as const;

const TABLES = [
  `CREATE TABLE accounts (
    id int unsigned NOT NULL PRIMARY KEY,
    branch smallint NOT NULL,
    balance decimal(14, 2) NOT NULL,
    filler char(84) NOT NULL)`,
  `CREATE TABLE readings (
    id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    device varchar(40) NOT NULL,
    taken_at datetime(3) NOT NULL,
    value double,
    amount decimal(14, 4) NOT NULL,
    note text,
    detail json)`,
  `CREATE TABLE entries (
    account int unsigned NOT NULL,
    number int unsigned NOT NULL,
    made_at timestamp(6) NOT NULL,
    kind enum('deposit', 'withdrawal', 'fee') NOT NULL,
    amount decimal(12, 2) NOT NULL,
    reference binary(16),
    PRIMARY KEY (account, number),
    KEY made (made_at))`,
];

/** Of `n` from 1 on: the same rows every time. */
const ROWS: { table: string; rows: number; columns: string; values: string }[] = [
  {
    ...{ table: 'accounts', rows: ACCOUNTS, columns: 'id, branch, balance, filler' },
    values: "n, n % 70, (n * 7919 % 10000000) / 100, RPAD(CONV(n * 104729 % 4294967296, 10, 36), 84, 'x')",
  },
  {
    ...{ table: 'readings', rows: READINGS, columns: 'id, device, taken_at, value, amount, note, detail' },
    values: `n, CONCAT('device-', n * 7919 % 5000), TIMESTAMP('2026-01-01') + INTERVAL n * 7 SECOND,
      IF(n % 11 > 0, SIN(n) * 1000, NULL), (n * 104729 % 10000000) / 100,
      IF(n % 3 > 0, CONCAT(MD5(n), ' ', MD5(n * 31)), NULL),
      IF(n % 5 = 0, JSON_OBJECT('n', n, 'tag', MD5(n % 1000)), NULL)`,
  },
  {
    ...{
      table: 'entries',
      rows: ENTRIES,
      columns: 'account, number, made_at, kind, amount, reference',
    },
    values: `1 + n DIV 3, n % 3, TIMESTAMP('2026-01-01') + INTERVAL n * 7 SECOND,
      ELT(1 + n % 3, 'deposit', 'withdrawal', 'fee'), (n * 31 % 1000000) / 100,
      IF(n % 4 > 0, UNHEX(MD5(n)), NULL)`,
  },
];

/** A transaction takes from an account and enters it; each client has accounts of its own. */
const TRADE = `CREATE PROCEDURE trade(first INT, transactions INT, accounts INT)
  BEGIN
    DECLARE n INT DEFAULT 0;
    WHILE n < transactions DO
      START TRANSACTION;
      UPDATE accounts SET balance = balance - 1 WHERE id = 1 + (first + n * ${CLIENTS} * 7919) % accounts;
      INSERT INTO entries VALUES (100000000 + first, n, NOW(6), 'withdrawal', 1, NULL);
      COMMIT;
      SET n = n + 1;
    END WHILE;
  END`;

const rowsOf = (rows: number, scale: number) => Math.round((rows * scale) / FULL_SCALE);

/** Tables of integers, text, times, decimals, JSON and nulls beside the sample shop; gives their bytes. */
export async function loadData(stack: MysqlStack, scale: number): Promise<number> {
  const { production } = stack;
  // None of it is replayed: what is measured begins with the base.
  await production.query('SET SESSION sql_log_bin = 0');
  await production.query('CREATE TABLE digits (d int NOT NULL PRIMARY KEY)');
  await production.query(
    `INSERT INTO digits VALUES ${Array.from({ length: 10 }, (_, d) => `(${d})`).join(', ')}`,
  );
  await production.query('CREATE TABLE numbers (n int NOT NULL PRIMARY KEY)');
  await production.query(
    `INSERT INTO numbers SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d
       FROM digits a, digits b, digits c, digits d, digits e ORDER BY 1`,
  );
  for (const table of TABLES) await production.query(table);
  for (const { table, rows, columns, values } of ROWS) {
    const count = rowsOf(rows, scale);
    for (let done = 0; done < count; done += AT_A_TIME) {
      await production.query(
        `INSERT INTO ${table} (${columns}) SELECT ${values}
           FROM (SELECT n + ${done} AS n FROM numbers WHERE n <= ${Math.min(AT_A_TIME, count - done)} ORDER BY n) AS one`,
      );
    }
  }
  await production.query('DROP TABLE numbers, digits');
  await production.query('SET SESSION sql_log_bin = 1');
  await production.query(TRADE);
  await production.query('ANALYZE NO_WRITE_TO_BINLOG TABLE accounts, readings, entries');
  const [row] = await production.query<{ bytes: string }>(
    `SELECT CAST(SUM(data_length + index_length) AS CHAR) AS bytes
       FROM information_schema.tables WHERE table_schema = DATABASE()`,
  );
  return Number(row?.bytes);
}

/** Ordinary traffic, so that a recovery has logs to replay. The disk is not waited for: it is not what is measured. */
export async function trade(stack: MysqlStack, scale: number, signal: AbortSignal): Promise<void> {
  const { production } = stack;
  const transactions = Math.round((TRANSACTIONS_PER_SCALE * scale) / CLIENTS);
  const each = (work: (session: Connection, client: number) => Promise<unknown>) =>
    Promise.all(
      Array.from({ length: CLIENTS }, (_, client) =>
        withConnection(benchAccess(stack.url), { signal }, (session) => work(session, client)),
      ),
    );
  const durable = (on: boolean) =>
    production.query(
      `SET GLOBAL sync_binlog = ${on ? 1 : 0}, GLOBAL innodb_flush_log_at_trx_commit = ${on ? 1 : 2}`,
    );
  await durable(false);
  try {
    const accounts = rowsOf(ACCOUNTS, scale);
    await each((session, client) => session.query(`CALL trade(${client}, ${transactions}, ${accounts})`));
  } finally {
    await durable(true);
  }
}

/** Deletes the rows; the moment right before is the target of every recovery. */
export async function deleteRows({ production }: MysqlStack): Promise<void> {
  for (const { table, key, every } of ACCIDENT) {
    await production.query(`DELETE FROM ${table} WHERE ${key} % ${every} = 0`);
  }
}

/** Throws where rows that the accident took are not there. */
export async function requireRows({ production }: MysqlStack): Promise<void> {
  for (const { table, key, every } of ACCIDENT) {
    const [row] = await production.query<{ whole: number }>(
      `SELECT COUNT(*) = MAX(${key}) DIV ${every} AS whole FROM ${table} WHERE ${key} % ${every} = 0`,
    );
    if (Number(row?.whole) !== 1) throw new Error(`the deleted rows of ${table} are not all back`);
  }
}

/** The database's own clock, with its offset, after a pause: commits before are before it for certain. */
export async function momentNow({ production }: MysqlStack): Promise<string> {
  await sleep(1_100);
  const [row] = await production.query<{ now: string }>(
    "SELECT DATE_FORMAT(UTC_TIMESTAMP(3), '%Y-%m-%dT%H:%i:%s.%f') AS now",
  );
  await sleep(1_100);
  return `${row?.now.slice(0, 23)}Z`;
}

/** What the log watch does in real life: the log is closed, and brought into the repository. */
export async function shipAll(stack: MysqlStack, signal: AbortSignal): Promise<void> {
  const { config, directory } = stack.config;
  const run = { signal, progress: () => {} };
  await closeLog(await resolveAccess(findDatabase(config, 'shop'), directory), run);
  const repository = await openRepository(config.repository, { use: 'backup', baseDirectory: directory });
  try {
    const deps = {
      ...{ config: stack.config, client: stack.temporal, engines: { mysql }, host: 'local' },
      ...{ logger: pino({ enabled: false }), metrics: NO_METRICS },
    };
    const known = await listKnown(repository, 'shop', { left: null, now: new Date(), signal });
    const input = { database: 'shop', known, patienceMs: 600_000 };
    const { waiting, failure } = await shipLogs(deps, repository, input, run);
    if (waiting > 0 || failure !== null)
      throw new Error(`${waiting} logs are not shipped: ${failure?.message}`);
  } finally {
    repository.close();
  }
}
