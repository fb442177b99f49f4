/** The page of a run in the Temporal UI: `<ui>/namespaces/<namespace>/workflows/<id>/<run id>`. */
export function pageOf(ui: string, namespace: string, run: { workflowId: string; runId: string }): string {
  const base = ui.replace(/\/+$/, '');
  const page = `${base}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(run.workflowId)}`;
  return run.runId === '' ? page : `${page}/${run.runId}`;
}
