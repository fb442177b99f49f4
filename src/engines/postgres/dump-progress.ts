import type { Run } from '../../model/progress.ts';
import type { CountedTable } from './fingerprint.ts';

/**
 * Progress of pg_dump in the bytes that tables have on disk, from what it says with `--verbose`: it names a
 * table when it begins with its rows. `onBytes` takes the bytes that leave the compressor.
 */
export function dumpProgress(
  database: string,
  tables: readonly CountedTable[],
  run: Run,
): { onLine: (line: string) => void; onBytes: (bytes: number) => void } {
  const sizes = new Map(tables.map((table) => [`${table.schema}.${table.name}`, table.bytes]));
  const total = tables.reduce((sum, table) => sum + table.bytes, 0);
  let done = 0;
  let current = '';
  let sent = 0;
  let saidAt = 0;
  const say = () => {
    saidAt = Date.now();
    const detail = `${(sent / 1_048_576).toFixed(1)} MiB uploaded${current === '' ? '' : `, at ${current}`}`;
    run.progress({ phase: `dumping ${database}`, done: Math.min(done, total), total, unit: 'bytes', detail });
  };
  return {
    onLine(line) {
      const table = /dumping contents of table "(.+)"$/.exec(line)?.[1];
      if (table === undefined) return;
      done += sizes.get(current) ?? 0;
      current = table;
      say();
    },
    onBytes(bytes) {
      sent += bytes;
      if (Date.now() - saidAt >= 1_000) say();
    },
  };
}
