import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { escapeHtml } from '../../src/client/report/html.ts';
import { reportPage } from '../../src/client/report/page.ts';
import { report } from '../unit/client/report/facts.ts';

const isThere = (process.env.PATH ?? '').split(delimiter).some((folder) => {
  try {
    accessSync(join(folder, 'chromium'), constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'report-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The width that the page takes in a window of this width, and how many scripts ran in it. */
async function layout(width: number): Promise<string> {
  const frame = join(directory, `frame-${width}.html`);
  const inside = escapeHtml(reportPage(report()));
  await writeFile(
    frame,
    `<!doctype html><meta charset="utf-8"><iframe id="page" width="${width}" height="800" style="border:0" srcdoc="${inside}"></iframe>
<script>addEventListener('load', () => {
  const { documentElement: root } = document.getElementById('page').contentDocument;
  document.title = [root.scrollWidth, root.clientWidth, root.querySelectorAll('script').length, root.querySelectorAll('svg').length].join();
})</script>`,
  );
  const { stdout } = await execa(
    'chromium',
    [
      ...[
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-sync',
      ],
      ...['--disable-background-networking', '--disable-component-update', '--hide-scrollbars'],
      ...[`--user-data-dir=${join(directory, 'profile')}`, '--dump-dom', pathToFileURL(frame).href],
    ],
    { timeout: 100_000, stdin: 'ignore', forceKillAfterDelay: 1_000 },
  );
  return /<title>([^<]*)/.exec(stdout)?.[1] ?? 'no title';
}

// scripts/setup.sh --with chromium
describe.skipIf(!isThere)('the report in a real browser', () => {
  test.each([320, 390, 1_200])('is not wider than a window of %i', async (width) => {
    expect(await layout(width)).toBe([width, width, 0, 4].join());
  });
});
