/**
 * The messages that every runbook understands, by name: the contract for the CLI, the `temporal` CLI, the
 * Temporal UI and `tctl`. `decide` takes a `Decide` (model/decision.ts) and gives a `DecisionRecord`; `retarget`
 * takes `{target}`; `approve` and `reject` take a `Decide` without its action; `resume` takes nothing;
 * `status` gives a `RunbookStatus` (model/runbook.ts).
 */
export const UPDATES = { decide: 'decide', retarget: 'retarget' } as const;
export const SIGNALS = { approve: 'approve', reject: 'reject', resume: 'resume' } as const;
export const QUERIES = { status: 'status' } as const;
