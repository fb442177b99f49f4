import { createHash, randomUUID } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type {
  ImportInput,
  ImportJournal,
  ImportRecord,
  UndoStore,
} from '../../src/engines/contract/change.ts';
import { planDigest } from '../../src/engines/plan-digest.ts';
import { ruleOf } from '../../src/engines/rule-of.ts';

export function memoryJournal(records: ImportRecord[] = []): ImportJournal & { records: ImportRecord[] } {
  return {
    records,
    read: async () => [...records],
    write: async (record) => {
      records.push(record);
    },
  };
}

/** An undo store in memory; `content`: what an object holds, unpacked. */
export function memoryObjects(): UndoStore & { content(key: string): Buffer } {
  const kept = new Map<string, Buffer>();
  return {
    folder: 'undo/',
    expiresAt: '2099-01-01T00:00:00Z',
    content: (key) => zstdDecompressSync(kept.get(key) as Buffer),
    sink: {
      async put(name, content) {
        const pieces: Buffer[] = [];
        for await (const piece of content) pieces.push(piece as Buffer);
        const all = Buffer.concat(pieces);
        const key = `undo/${name}`;
        kept.set(key, all);
        const sha256 = createHash('sha256').update(all).digest('hex');
        return [{ key, versionId: null, sizeBytes: all.length, sha256 }];
      },
    },
  };
}

/** Of a plan that was made of these comparisons. */
export function digestOf(comparisons: ImportInput['comparisons']): string {
  return planDigest(
    {
      ...{ summary: randomUUID(), backup: 'b', target: { latest: true }, position: null },
      ...{ conflict: 'insert-missing', estimateSeconds: 1, rules: [], notices: [] },
      changes: comparisons.map((comparison) => ruleOf(comparison, 'insert-missing').change),
    },
    comparisons,
  );
}
