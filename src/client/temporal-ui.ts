import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { LoadedConfig } from '../config/load.ts';
import { shellQuote } from './output.ts';

const devSchema = z.object({ temporal: z.object({ address: z.string(), ui: z.url() }) });

/**
 * The base address of the Temporal UI: `temporal.ui` of the configuration, else what `holdfast dev up` has
 * written beside it for the very server that we talk to. Null where neither is known.
 */
export async function temporalUi(config: LoadedConfig, address: string): Promise<string | null> {
  if (config.config.temporal.ui !== undefined) return config.config.temporal.ui;
  for (const path of ['dev.json', '.holdfast/dev.json']) {
    const text = await readFile(join(dirname(config.path), path), 'utf8').catch(() => null);
    if (text === null) continue;
    const dev = devSchema.safeParse(parseJson(text));
    if (dev.success && dev.data.temporal.address === address) return dev.data.temporal.ui;
  }
  return null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The command by which Temporal's own command line shows a run on this server. */
export function temporalCommand(
  server: { address: string; namespace: string },
  verb: string,
  workflowId: string,
): string {
  const { address, namespace } = server;
  const words = ['temporal', 'workflow', verb, '--workflow-id', workflowId];
  return [...words, '--address', address, '--namespace', namespace].map(shellQuote).join(' ');
}
