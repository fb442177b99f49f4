import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BinlogEvent } from '../../src/engines/mysql/binlog/event.ts';
import { readEvents } from '../../src/engines/mysql/binlog/read-events.ts';
import type { Transaction } from '../../src/engines/mysql/binlog/transaction.ts';
import { transactions } from '../../src/engines/mysql/binlog/transactions.ts';
import { type MysqlServer, type SeriesName, startMysql } from './mysql-server.ts';

/** A server with a table `shop.t`, which may read files of its own. */
export async function startShop(series: SeriesName): Promise<MysqlServer> {
  const server = await startMysql({ series, settings: { 'secure-file-priv': '' } });
  await server.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY, v TEXT)']);
  return server;
}

/** The binlogs that are there, in order; the last one is being written. */
export async function logsOf(server: MysqlServer): Promise<string[]> {
  const names = await readdir(server.dataDirectory);
  return names
    .filter((name) => /^binlog\.\d+$/.test(name))
    .sort()
    .map((name) => join(server.dataDirectory, name));
}

/** Runs statements in one session, and returns the closed file that holds what they did, and nothing else. */
export async function logOf(server: MysqlServer, statements: readonly string[], db = ''): Promise<string> {
  await server.query('FLUSH BINARY LOGS');
  await server.run(statements, db);
  const file = (await logsOf(server)).at(-1) as string;
  await server.query('FLUSH BINARY LOGS');
  return file;
}

export async function eventsOf(file: string): Promise<BinlogEvent[]> {
  return all(readEvents(createReadStream(file), { name: file }));
}

/** Bytes as a stream of pieces of this size. */
export async function* inPieces(bytes: Buffer, size = bytes.length): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

export async function transactionsOf(file: string): Promise<Transaction[]> {
  return all(transactions(readEvents(createReadStream(file), { name: file })));
}

/** Rows that a log says were inserted, updated and deleted in a table. */
export function rowsOf(found: readonly Transaction[], table: string): [number, number, number] {
  const all = found.flatMap(({ tables }) => tables).filter((one) => one.table === table);
  if (all.some(({ isUncounted }) => isUncounted)) throw new Error(`rows of ${table} were not counted`);
  const sum = (of: 'inserted' | 'updated' | 'deleted') => all.reduce((total, one) => total + one[of], 0);
  return [sum('inserted'), sum('updated'), sum('deleted')];
}
