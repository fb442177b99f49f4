import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CACHE = join(ROOT, 'node_modules/.cache/holdfast');

/**
 * Bundles the workflow code once for all test files: the path of the bundle, null where there is no workflow
 * code. Kept by the content of what goes in, so that a run of unit tests does not wait for webpack.
 */
export async function bundleWorkflows(): Promise<string | null> {
  const workflowsPath = join(ROOT, 'src/workflows/index.ts');
  if (!(await exists(workflowsPath))) return null;
  const path = join(CACHE, `workflows-${await digestOfSources()}.js`);
  if (await exists(path)) return path;
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
  await mkdir(CACHE, { recursive: true });
  // Two runs may do this at once: each writes its own file, and the rename is atomic.
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, path);
  await removeOld();
  return path;
}

/** Other runs may still read theirs: only what is a day old goes. */
async function removeOld(): Promise<void> {
  for (const file of await readdir(CACHE)) {
    const path = join(CACHE, file);
    const age = Date.now() - (await stat(path)).mtimeMs;
    if (age > 86_400_000) await rm(path, { force: true });
  }
}

/** Workflow code may import the model and other workflows only. */
async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256').update(await readFile(join(ROOT, 'package-lock.json')));
  for (const folder of ['src/model', 'src/workflows', 'src/activities']) {
    const files = await readdir(join(ROOT, folder), { recursive: true }).catch(() => []);
    for (const file of files.filter((name) => name.endsWith('.ts')).sort()) {
      hash.update(file).update(await readFile(join(ROOT, folder, file)));
    }
  }
  return hash.digest('hex').slice(0, 20);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
