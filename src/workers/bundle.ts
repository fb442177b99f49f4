import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { OpenTelemetryPlugin } from '@temporalio/interceptors-opentelemetry';
import { bundleWorkflowCode } from '@temporalio/worker';

const WORKFLOWS = fileURLToPath(new URL('../workflows/index.ts', import.meta.url));

/**
 * The code that the workflow sandbox runs. HOLDFAST_WORKFLOW_BUNDLE names one made before (an image, a test run); one that
 * traces has the plug-in's code in it, and is made at the start.
 */
export async function workflowBundle(
  tracing?: OpenTelemetryPlugin,
): Promise<{ codePath: string } | { code: string }> {
  if (tracing !== undefined) return bundleWorkflowCode({ workflowsPath: WORKFLOWS, plugins: [tracing] });
  const codePath = process.env.HOLDFAST_WORKFLOW_BUNDLE;
  return codePath === undefined ? bundleWorkflowCode({ workflowsPath: WORKFLOWS }) : { codePath };
}

// `node src/workers/bundle.ts <file>` makes the file.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS });
  await writeFile(process.argv[2] ?? 'workflow-bundle.js', code);
}
