import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { describeLeaks, endLeftovers, findLeaks, RUN_VARIABLE } from './leaks.ts';
import { bundleWorkflows } from './workflow-bundle.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** a file with the bundled workflow code; null where there is none yet */
    workflowBundle: string | null;
  }
}

/** What node compiles is compiled once for all files of all runs. */
const COMPILED = fileURLToPath(new URL('../node_modules/.cache/holdfast/compiled', import.meta.url));

/**
 * Gives this run a temporary folder and a marker of its own, which every process that a test starts inherits,
 * and fails the run when something of it is left: other runs on the machine are none of our business.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = randomUUID();
  const before = process.env.TMPDIR;
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'holdfast-run-')));
  // Other operating-system users (postgres, holdfast-restore) make their files here too.
  await chmod(directory, 0o1777);
  process.env[RUN_VARIABLE] = run;
  process.env.TMPDIR = directory;
  process.env.NODE_COMPILE_CACHE ??= COMPILED;
  project.provide('workflowBundle', await bundleOrTell());

  return async () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    const leaks = await findLeaks({ run, directory });
    await endLeftovers(leaks);
    await rm(directory, { recursive: true, force: true });
    if (leaks.processes.length + leaks.files.length > 0) {
      throw new Error(`the tests left something behind:\n${describeLeaks(leaks)}`);
    }
  };
}

/** Workflow code that does not bundle fails the tests that need it, not all the others. */
async function bundleOrTell(): Promise<string | null> {
  try {
    return await bundleWorkflows();
  } catch (error) {
    process.stderr.write(`the workflow code cannot be bundled: ${error}\n`);
    return null;
  }
}
