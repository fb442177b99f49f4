import { expect, test } from 'vitest';
import type { Manifest } from '../../../src/model/backup.ts';
import { chooseLogical } from '../../../src/repository/choice-logical.ts';
import { base } from './recoverability.ts';

const stored = { key: 'k', versionId: null, sizeBytes: 1, sha256: '' };
const dump = (id: string, finishedMs: number, changes: Partial<Manifest> = {}): Manifest =>
  base(id, 1, finishedMs, {
    tier: 'logical',
    databases: [{ name: 'shop', objects: [stored], fingerprints: null, schema: stored }],
    ...changes,
  });
const old = dump('old', 12_000);
const newest = dump('newest', 32_000);
const taken = dump('snapshot-old', 52_000, { tier: 'snapshot', copyOf: { tier: 'logical', id: 'old' } });
const copyOfBase = base('snapshot-base', 1, 52_000, {
  ...{ tier: 'snapshot', copyOf: { tier: 'physical', id: 'base' } },
});

const choose = (manifests: Manifest[], backup: string | null = null) =>
  chooseLogical(manifests, { database: 'shop', db: 'shop', backup });

test('the newest logical one, whatever snapshots there are; a snapshot where it is named', () => {
  expect(choose([taken, old, newest]).manifest.id).toBe('newest');
  expect(choose([taken, old, newest], 'snapshot-old').manifest.id).toBe('snapshot-old');
});

test('a snapshot of a physical one is refused as such', () => {
  expect(() => choose([copyOfBase, old], 'snapshot-base')).toThrow(
    'backup snapshot-base is a snapshot of a physical one, not logical',
  );
});

test('where no logical one is left, the snapshot of one is named', () => {
  expect(() => choose([copyOfBase, taken])).toThrow(
    expect.objectContaining({ hint: 'there is a snapshot of one: --backup snapshot-old' }),
  );
  expect(() => choose([copyOfBase])).toThrow(
    expect.objectContaining({ hint: expect.stringMatching(/^take one/) }),
  );
});
