import { HoldfastError } from './failure.ts';
import type { WorkflowInput } from './input.ts';

/** Throws NotSupported for what the contract names and this version does not do: nothing is faked. */
export function refuseUnsupported(input: WorkflowInput<'pointInTimeRecovery'>): void {
  if (input.export !== undefined || input.conflict !== 'side-by-side') return;
  throw new HoldfastError('NotSupported', 'side-by-side is not supported by this version', {
    hint: 'insert-missing, restore-changed and replace are; or export the tables to files',
  });
}
