import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const WORKFLOWS = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));

/** The code that the workflow sandbox runs. HOLDFAST_WORKFLOW_BUNDLE names one made before (an image, a test run). */
export async function workflowBundle(): Promise<{ codePath: string } | { code: string }> {
  const codePath = process.env.HOLDFAST_WORKFLOW_BUNDLE;
  return codePath === undefined ? bundleWorkflowCode({ workflowsPath: WORKFLOWS }) : { codePath };
}

// `node src/workers/bundle.ts <file>` makes the file.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS });
  await writeFile(process.argv[2] ?? 'workflow-bundle.js', code);
}
