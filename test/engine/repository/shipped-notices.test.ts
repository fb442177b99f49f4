import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logsOfBase } from '../../../src/activities/dumped-base.ts';
import type { Base } from '../../../src/activities/recovery-types.ts';
import { chooseBackup } from '../../../src/repository/choice.ts';
import { quietly, SERIES } from '../mysql-server.ts';
import { type ShippingFixture, startShipping } from './shipping-fixture.ts';

describe.each(SERIES)('logs of %s that are replayed', (series) => {
  let shop: ShippingFixture;
  beforeAll(async () => {
    shop = await startShipping(series);
  });
  afterAll(() => shop?.end());

  const toReplay = async () => {
    const choice = chooseBackup({ ...(await shop.known()), target: { latest: true }, now: new Date() });
    const { lineage, firstLog, lastLog, segments, manifest } = choice;
    const logs = lineage === undefined || firstLog === null ? null : { lineage, firstLog };
    const base = { backup: manifest.id, logs: segments, lastLog, dumped: { logs } } as Base;
    return logsOfBase(shop.repository, 'shop', base, quietly);
  };
  const writeAs = async (format: string, ...ids: number[]) => {
    await shop.server.run([
      `SET SESSION binlog_format = ${format}`,
      ...ids.map((id) => `INSERT INTO shop.t VALUES (${id})`),
    ]);
    await shop.round();
  };

  test('say once what is in them, and in which: what was written before the base is not theirs', async () => {
    await writeAs('STATEMENT', 1, 2);
    await shop.backup('b1');
    await writeAs('ROW', 3);
    expect(await toReplay()).toMatchObject({ notices: [], logs: [{}] });
    await writeAs('STATEMENT', 4);
    await writeAs('ROW', 5, 6);
    await writeAs('MIXED', 7, 8);
    await writeAs('ROW', 9);
    const { logs, notices } = await toReplay();
    expect(logs).toHaveLength(5);
    expect(notices).toEqual([
      `in 2 of 5 replayed logs (${logs[1]?.name} … ${logs[3]?.name}): 3 of 3 transactions are statements, not rows (binlog_format); what they did may have come back otherwise than it was`,
    ]);
  });
});
