import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { Run } from '../../../src/model/progress.ts';
import { dumpedContent, requireUnchanged } from '../../../src/repository/dumped-content.ts';

const run: Run = { signal: new AbortController().signal, progress: () => {} };

function dumpOf(contents: Record<string, string>, stored = contents) {
  const objects = Object.entries(contents).map(([key, content]) => ({
    ...{ key, versionId: null, sizeBytes: content.length },
    sha256: createHash('sha256').update(content).digest('hex'),
  }));
  const stream = ({ key }: { key: string }) => Readable.from([Buffer.from(stored[key] ?? '')]);
  return { objects, repository: { stream } };
}

test('a dump in several objects is one stream', async () => {
  const { objects, repository } = dumpOf({ 'a.1': 'one ', 'a.2': 'two' });
  expect(await text(dumpedContent(repository, objects, run.signal))).toBe('one two');
  await requireUnchanged(repository, { id: '20260131T140500Z', objects }, run);
});

test('one byte that has changed is found, and which backup and object it is in', async () => {
  const { objects, repository } = dumpOf({ 'a.1': 'one ', 'a.2': 'two' }, { 'a.1': 'one ', 'a.2': 'twa' });
  await expect(requireUnchanged(repository, { id: '20260131T140500Z', objects }, run)).rejects.toMatchObject({
    type: 'BackupUnusable',
    message: 'the dump of backup 20260131T140500Z is damaged: a.2 has changed',
  });
});
