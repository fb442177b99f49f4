import { expect, test } from 'vitest';
import { summarize } from '../../../src/client/fleet.ts';
import type { Catalog, CatalogBackup } from '../../../src/model/backup.ts';
import { databaseText, exampleConfig } from '../config/example.ts';

const backup = (
  tier: 'logical' | 'physical',
  day: number,
  verified: CatalogBackup['verified'],
): CatalogBackup => ({
  id: `${tier}-${day}`,
  ...{ tier, kind: 'full', sizeBytes: 1, dependsOn: [], lockedUntil: null, verified },
  startedAt: `2026-01-0${day}T02:00:00Z`,
  finishedAt: `2026-01-0${day}T03:00:00Z`,
});

function verifiedOf(backups: CatalogBackup[]) {
  const config = exampleConfig({ databases: databaseText('shop') });
  const catalog: Catalog = {
    ...{ database: 'shop', backups, intervals: [], gaps: [], lastRecoverableAt: null, rpoSeconds: null },
  };
  return summarize(config, new Map([['shop', { catalog, unread: null }]]))[0]?.verified;
}

test('one pass hides neither the fail of the other tier nor that of the newest backup', () => {
  const [pass, fail] = [
    { verdict: 'pass', at: '2026-01-05T05:00:00Z' } as const,
    { verdict: 'fail', at: '2026-01-05T04:00:00Z' } as const,
  ];
  expect(verifiedOf([backup('logical', 5, fail), backup('physical', 5, pass)])).toEqual(fail);
  expect(verifiedOf([backup('logical', 5, fail), backup('logical', 1, pass)])).toEqual(fail);
  expect(verifiedOf([backup('logical', 5, pass), backup('logical', 1, fail)])).toEqual(pass);
  expect(verifiedOf([backup('logical', 6, null), backup('logical', 5, pass)])).toEqual(pass);
  expect(verifiedOf([backup('logical', 6, null)])).toBe(null);
});
