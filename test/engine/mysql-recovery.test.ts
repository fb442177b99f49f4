import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ShippedContent } from '../../src/engines/contract/ship.ts';
import { check } from '../../src/engines/mysql/check.ts';
import { fingerprint } from '../../src/engines/mysql/fingerprint.ts';
import { serverPid } from '../../src/engines/mysql/instance-processes.ts';
import { replay } from '../../src/engines/mysql/replay.ts';
import { restore } from '../../src/engines/mysql/restore.ts';
import { ensureRunning } from '../../src/engines/mysql/server.ts';
import type { InstanceRecord } from '../../src/instances/instance.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import type { Target } from '../../src/model/target.ts';
import {
  type Base,
  processesWith,
  quietly,
  type Recovery,
  recover,
  replayInput,
  restoreInput,
  startRecovery,
  value,
} from './mysql-recovery-fixture.ts';
import { SERIES } from './mysql-server.ts';

/** A moment of production: where its log stood, what was committed, and when nothing else happened. */
interface Moment {
  position: string;
  gtids: string;
  time: string;
  orders: string;
}

describe.each(SERIES)('%s', (series) => {
  let recovery: Recovery;
  let base: Base;
  let logs: ShippedContent[];
  let start: Moment;
  let three: Moment;
  let large: Moment;
  let accident: Moment;
  let end: Moment;
  let place: InstanceRecord;

  const orders = (access: ServerAccess) =>
    value(access, 'SELECT CONCAT_WS(",", COUNT(*), SUM(id), MAX(note)) FROM shop.orders');
  const moment = async (): Promise<Moment> => {
    const { sql } = recovery;
    // MariaDB's logs have whole seconds.
    await sql('SELECT SLEEP(1.1)');
    const [now] = await sql<{ time: string }>(
      "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ') AS time",
    );
    await sql('SELECT SLEEP(1.1)');
    return {
      position: await recovery.position(),
      gtids: (await recovery.gtids()) ?? '',
      time: now?.time as string,
      orders: await orders(recovery.production.access),
    };
  };
  const lastOf = (gtids: string) => {
    const [, uuid, number] = /^(.*?):(?:.*-)?(\d+)$/.exec(gtids) ?? [];
    return uuid === undefined ? gtids : `${uuid}:${number}`;
  };
  const to = (target: Target) => replay(replayInput(recovery, place, base, target, logs), quietly);

  beforeAll(async () => {
    recovery = await startRecovery(series);
    const { sql } = recovery;
    await sql(
      'CREATE DATABASE shop',
      'CREATE TABLE shop.orders (id int AUTO_INCREMENT PRIMARY KEY, note varchar(200))',
      "INSERT INTO shop.orders (note) VALUES ('one'), ('two')",
    );
    base = await recovery.base();
    start = await moment();
    await sql("INSERT INTO shop.orders (note) VALUES ('three')", 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
    three = await moment();
    await sql(
      'START TRANSACTION',
      ...Array.from(
        { length: 40 },
        (_, n) =>
          `INSERT INTO shop.orders (note) VALUES ${Array.from({ length: 250 }, (_, m) => `('large ${n} ${m}')`).join()}`,
      ),
      'COMMIT',
    );
    large = await moment();
    await sql('DELETE FROM shop.orders WHERE id < 3');
    accident = await moment();
    await sql('FLUSH BINARY LOGS', 'TRUNCATE shop.orders', "INSERT INTO shop.orders (note) VALUES ('after')");
    end = await moment();
    logs = await recovery.logs(base);
    expect(logs.length).toBe(4);
    place = await recovery.provision('one');
  });
  afterAll(() => recovery?.end());

  test('forwards from target to target, and not back', async () => {
    await restore(restoreInput(recovery, place, base), quietly);
    const atBase = await to({ backup: base.id });
    expect(atBase).toMatchObject({ lsn: base.from.position, gtid: base.from.gtid, lastTransactionAt: null });
    expect(await orders(atBase.access)).toBe(start.orders);

    const byTime = await to({ time: three.time });
    expect(byTime).toMatchObject({ gtid: three.gtids, url: expect.stringMatching(/^mysql:\/\/.*\?socket=/) });
    expect(byTime.position).toBe(`${byTime.lsn}, ${three.gtids}`);
    expect(await orders(byTime.access)).toBe(three.orders);
    expect(Date.parse(byTime.lastTransactionAt as string)).toBeLessThan(Date.parse(three.time));

    // In the middle of the large transaction: that does not come.
    const [file, position] = large.position.split(':') as [string, string];
    const within = await to({ lsn: `${file}:${Number(position) - 100}` });
    expect(await orders(within.access)).toBe(three.orders);
    const whole = await to({ lsn: large.position });
    expect(whole.lsn).toBe(large.position);
    expect(await orders(whole.access)).toBe(large.orders);
    // The same again finds the same server.
    const pid = await serverPid(place);
    expect(await to({ lsn: large.position })).toEqual(whole);
    expect(await serverPid(place)).toBe(pid);

    await expect(to({ time: start.time })).rejects.toMatchObject({ type: 'InstanceLost' });
    await expect(to({ gtid: lastOf(three.gtids) })).rejects.toMatchObject({ type: 'InstanceLost' });
    await expect(to({ lsn: three.position })).rejects.toMatchObject({ type: 'InstanceLost' });

    // By default just before the transaction.
    const before = await to({ gtid: lastOf(accident.gtids) });
    expect(await orders(before.access)).toBe(large.orders);
    const after = await to({ gtid: lastOf(accident.gtids), exclusive: false });
    expect(await orders(after.access)).toBe(accident.orders);
    expect(after.gtid).toBe(accident.gtids);
    const latest = await to({ latest: true });
    expect(await orders(latest.access)).toBe(end.orders);
    expect(latest.gtid).toBe(end.gtids);
  });

  test('the copy is as production, and comes back read-only after its process has ended', async () => {
    const input = { place, serverMajor: recovery.production.series, tables: null };
    const restored = (await to({ latest: true })).access;
    const { access: production } = recovery.production;
    expect(await check({ ...input, restored, production }, quietly)).toMatchObject([
      { name: 'integrity', verdict: 'pass' },
      { name: 'schema', verdict: 'pass' },
    ]);
    await recovery.sql('ALTER TABLE shop.orders ADD COLUMN late int');
    const [, schema] = await check({ ...input, restored, production, tables: ['shop.orders'] }, quietly);
    expect(schema).toMatchObject({
      verdict: 'inconclusive',
      detail: expect.stringMatching(
        /^production has changed since: column shop\.orders\.late is not in the copy/,
      ),
    });
    await recovery.sql('ALTER TABLE shop.orders DROP COLUMN late');
    const pid = (await serverPid(place)) as number;
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => serverPid(place)).toBe(null);
    await ensureRunning(place, quietly);
    expect(await orders(restored)).toBe(end.orders);
    const print = { hash: 'sha2-64+sum', tables: ['shop.orders'] };
    const of = (access: ServerAccess) => fingerprint({ ...access, database: 'shop' }, print, quietly);
    expect((await of(restored)).tables).toEqual((await of(production)).tables);
  });

  test('back in time after the base was restored again; nothing is left of a removed one', async () => {
    await restore(restoreInput(recovery, place, base), quietly);
    const reached = await to({ time: three.time, exclusive: true });
    expect(await orders(reached.access)).toBe(three.orders);
    await recovery.remove('one');
    expect(await processesWith(place.directory)).toBe('');
  });

  test('a target before the base, or beyond the logs, is refused', async () => {
    place = await recovery.provision('refused');
    await restore(restoreInput(recovery, place, base), quietly);
    await expect(to({ lsn: 'binlog.000001:4' })).rejects.toMatchObject({ type: 'TargetNotRecoverable' });
    await expect(to({ gtid: lastOf(base.from.gtid as string) })).rejects.toMatchObject({
      type: 'TargetNotRecoverable',
    });
    for (const target of [
      { lsn: `${logs.at(-1)?.name}:99999999` },
      { time: '2099-01-01T00:00:00Z' },
      { gtid: series === '8.0' ? '3e11fa47-71ca-11e1-9e33-c80aa9429562:1' : '7-7-7' },
    ]) {
      await expect(to(target)).rejects.toMatchObject({ type: 'TargetNotReached' });
    }
    await expect(to({ xid: '1' })).rejects.toMatchObject({ type: 'NotSupported' });
    // After all of that it still goes to one that exists.
    expect(await orders((await to({ latest: true })).access)).toBe(end.orders);
    await recovery.remove('refused');
  });

  test('with room for one log at a time it comes to the same', async () => {
    place = await recovery.provision('small');
    await restore(restoreInput(recovery, place, base), quietly);
    const phases = new Set<string>();
    const run = { ...quietly, progress: ({ phase }: { phase: string }) => phases.add(phase) };
    const input = replayInput(recovery, place, base, { latest: true }, logs);
    const reached = await replay(input, run, { batchBytes: 1 });
    expect(await orders(reached.access)).toBe(end.orders);
    expect(reached.gtid).toBe(end.gtids);
    expect([...phases]).toContain('replaying logs');
    await recovery.remove('small');
  });

  test('a server without GTIDs, to a position and a time', async () => {
    if (series !== '8.0') return;
    const anonymous = await startRecovery(series, { 'gtid-mode': null, 'enforce-gtid-consistency': null });
    try {
      const { sql } = anonymous;
      await sql('CREATE DATABASE shop', 'CREATE TABLE shop.orders (id int PRIMARY KEY, note varchar(200))');
      const begun = await anonymous.base();
      await sql("INSERT INTO shop.orders VALUES (1, 'one')", 'FLUSH BINARY LOGS', 'SELECT SLEEP(1)');
      const time = new Date().toISOString();
      await sql('SELECT SLEEP(1)', "INSERT INTO shop.orders VALUES (2, 'two')");
      const position = await anonymous.position();
      await sql('DROP TABLE shop.orders');
      const kept = await anonymous.logs(begun);
      const there = await anonymous.provision('anonymous');
      const early = await recover(anonymous, there, begun, { time }, kept);
      expect(early.gtid).toBe(null);
      expect(early.position).toBe(early.lsn);
      expect(await orders(early.access)).toBe('1,1,one');
      const input = replayInput(anonymous, there, begun, { lsn: position }, kept);
      expect(await orders((await replay(input, quietly)).access)).toBe('2,3,two');
    } finally {
      await anonymous.end();
    }
  });
});
