import { expect, test } from 'vitest';
import { databaseInId } from '../../../src/client/commands/undo.ts';
import type { ImportRecord } from '../../../src/engines/contract/change.ts';
import { requireUndo } from '../../../src/repository/undoable.ts';

const config = { databases: { shop: {} } } as unknown as Parameters<typeof databaseInId>[0];

test.each([
  ['pitr/shop/20260131T140500Z', 'shop'],
  ['undo/shop/inc-42', 'shop'],
  ['pitr/other/20260131T140500Z', null],
  ['pitr/toString/20260131T140500Z', null],
  ['shop', null],
])('a run %s that Temporal has forgotten is of %s', (id, database) => {
  expect(databaseInId(config, id)).toBe(database);
});

const undo = { folder: 'undo/shop/x/data/', expiresAt: '2026-03-01T00:00:00Z', sizeBytes: 1, tables: [] };
const record = { transaction: '790', planDigest: 'p', undo } as unknown as ImportRecord;

test('an import can be taken back until its undo data expires, and only one that changed something', () => {
  expect(requireUndo('pitr/shop/x', record, new Date('2026-02-28T23:59:59Z'))).toBe(undo);
  expect(() => requireUndo('pitr/shop/x', record, new Date(undo.expiresAt))).toThrow(
    'the undo data of pitr/shop/x expired at 2026-03-01T00:00:00Z',
  );
  expect(() => requireUndo('pitr/shop/x', { ...record, undo: null }, new Date())).toThrow(/nothing to undo/);
});
