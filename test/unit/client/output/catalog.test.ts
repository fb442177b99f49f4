import { describe, expect, it } from 'vitest';
import { formatCatalog } from '../../../../src/client/view/catalog.ts';
import { formatWindow } from '../../../../src/client/view/window.ts';
import type { Catalog, CatalogBackup } from '../../../../src/model/backup.ts';

const NOW = new Date('2026-01-11T00:00:00Z');

const backupOf = (id: string, finishedAt: string, kind: 'full' | 'diff' = 'full'): CatalogBackup => ({
  id,
  tier: 'physical',
  kind,
  startedAt: finishedAt,
  finishedAt,
  sizeBytes: 3e9,
  dependsOn: [],
  lockedUntil: '2026-01-21T00:00:00Z',
  verified: null,
});

const CATALOG: Catalog = {
  database: 'shop',
  backups: [backupOf('first', '2026-01-01T00:00:00Z'), backupOf('second', '2026-01-08T00:00:00Z', 'diff')],
  intervals: [
    { from: '2026-01-01T00:00:00.400Z', to: '2026-01-04T00:00:00Z' },
    { from: '2026-01-06T00:00:00Z', to: '2026-01-06T00:00:00Z' },
    { from: '2026-01-08T00:00:00Z', to: '2026-01-10T23:58:00.900Z' },
  ],
  gaps: [
    {
      timeline: 1,
      firstMissing: '000000010000000000000012',
      lastMissing: '000000010000000000000013',
      count: 2,
      after: '2026-01-04T00:00:00Z',
      before: '2026-01-04T00:05:00Z',
    },
  ],
  lastRecoverableAt: '2026-01-10T23:58:00.900Z',
  rpoSeconds: 119,
};

it('draws the window on one axis: bases, what can be recovered, points and gaps', () => {
  // 50 cells for 10 days: 5 a day.
  const [bases, recover] = formatWindow(CATALOG, NOW, 62).split('\n');
  expect(bases).toBe(`  physical  F${' '.repeat(34)}d`);
  expect(recover).toBe(`  recover   ${'='.repeat(15)}x${'.'.repeat(9)}|${'.'.repeat(9)}${'='.repeat(15)}`);
  expect(formatWindow({ ...CATALOG, backups: [], intervals: [] }, NOW, 80)).toBe('');
});

describe('the catalog as text', () => {
  const show = (catalog: Catalog, objectiveSeconds: number | null) =>
    formatCatalog({ catalog, objectiveSeconds, now: NOW, width: 80 });

  it('says what would be lost now against the objective', () => {
    expect(show(CATALOG, 300)).toMatch(/lost if it died now: 1m59s .*\n.*\(RPO\): 5m, met/);
    expect(show(CATALOG, 60)).toContain('BROKEN');
    expect(show({ ...CATALOG, lastRecoverableAt: null, intervals: [] }, 60)).toContain(
      'nothing can be recovered',
    );
  });

  it('shows what was proved of a backup, and how long ago', () => {
    const [first, second] = CATALOG.backups as [CatalogBackup, CatalogBackup];
    const verified = { verdict: 'fail', at: '2026-01-10T21:00:00Z' } as const;
    const text = show({ ...CATALOG, backups: [first, { ...second, verified }] }, null);
    expect(text).toMatch(/^second .* fail, 3h ago$/m);
    expect(text).toMatch(/^first .* never$/m);
  });

  it('never promises a moment outside an interval', () => {
    expect(show(CATALOG, null)).toContain('recoverable 2026-01-01T00:00:01Z to 2026-01-04T00:00:00Z');
    expect(show(CATALOG, null)).toContain('2026-01-08T00:00:00Z to 2026-01-10T23:58:00Z');
    expect(show(CATALOG, null)).toContain('2026-01-06T00:00:00Z  a point');
  });

  it('names the gap and lists the newest backup first, within 80 columns', () => {
    const text = show(CATALOG, 300);
    expect(text).toMatch(/LOG GAPS\n {2}2 missing, between 2026-01-04T00:00:00Z and/);
    expect(text.indexOf('second')).toBeLessThan(text.indexOf('first  '));
    expect(text).toMatch(/second +diff +2026-01-08T00:00:00Z +2\.8 GiB +10d/);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});
