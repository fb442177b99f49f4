import type { Run } from '../../model/progress.ts';
import type { CountedTable } from './fingerprint.ts';

/**
 * Progress of mysqldump in the bytes that tables have on disk, from what it says with `--verbose`: it names a table, not
 * its db, when it begins with it. `onBytes` takes the bytes that leave the compressor.
 */
export function dumpProgress(tables: readonly CountedTable[], run: Run) {
  const sizes = new Map(tables.map((table) => [`${table.db}.${table.name}`, table.bytes]));
  const total = tables.reduce((sum, table) => sum + table.bytes, 0);
  let database = '';
  let current = '';
  let done = 0;
  let sent = 0;
  let saidAt = 0;
  const say = () => {
    saidAt = Date.now();
    const detail = `${(sent / 1_048_576).toFixed(1)} MiB uploaded${current === '' ? '' : `, at ${current}`}`;
    run.progress({ phase: 'dumping', done: Math.min(done, total), total, unit: 'bytes', detail });
  };
  return {
    onDatabase(name: string) {
      database = name;
    },
    onLine(line: string) {
      const table = /^-- Retrieving table structure for table (.+)\.\.\.$/.exec(line)?.[1];
      if (table === undefined) return;
      done += sizes.get(current) ?? 0;
      current = `${database}.${table}`;
      if (Date.now() - saidAt >= 1_000) say();
    },
    onBytes(bytes: number) {
      sent += bytes;
      if (Date.now() - saidAt >= 1_000) say();
    },
  };
}
