import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ShippedContent } from '../../src/engines/contract/ship.ts';
import { type Base, type Recovery, recover, startRecovery, value } from './mysql-recovery-fixture.ts';
import { SERIES } from './mysql-server.ts';

describe.each(SERIES)('%s', (series) => {
  let recovery: Recovery;
  let base: Base;
  let logs: ShippedContent[];
  const at: Record<string, string> = {};

  beforeAll(async () => {
    recovery = await startRecovery(series);
    const { sql } = recovery;
    await sql(
      'CREATE DATABASE shop',
      'CREATE TABLE shop.orders (id int AUTO_INCREMENT PRIMARY KEY, note varchar(200))',
      "INSERT INTO shop.orders (note) VALUES ('one'), ('two')",
    );
    base = await recovery.base();
    await sql("INSERT INTO shop.orders (note) VALUES ('three')", 'FLUSH BINARY LOGS');
    at.three = await recovery.position();
    await sql("INSERT INTO shop.orders (note) VALUES ('four')");
    at.four = await recovery.position();
    await sql('DELETE FROM shop.orders WHERE id < 3');
    logs = await recovery.logs(base);
  });
  afterAll(() => recovery?.end());

  const notes = (access: Parameters<typeof value>[0]) =>
    value(access, 'SELECT GROUP_CONCAT(note ORDER BY id) FROM shop.orders');

  test('to the end of the logs, and to a position before the accident', async () => {
    const place = await recovery.provision('first');
    const reached = await recover(recovery, place, base, { lsn: at.four as string }, logs);
    expect(await notes(reached.access)).toBe('one,two,three,four');
    expect(reached.lsn).toBe(at.four);
    await recovery.remove('first');
    const other = await recovery.provision('second');
    const latest = await recover(recovery, other, base, { latest: true }, logs);
    expect(await notes(latest.access)).toBe('three,four');
    expect(latest.gtid).toBe(await recovery.gtids());
    await recovery.remove('second');
  });
});
