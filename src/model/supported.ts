import { HoldfastError } from './failure.ts';
import type { WorkflowInput } from './input.ts';

/** Throws NotSupported for what the contract names and this version does not do: nothing is faked. */
export function refuseUnsupported(input: WorkflowInput<'pointInTimeRecovery'>): void {
  const { conflict } = input;
  if (input.export !== undefined || conflict === undefined || conflict === 'insert-missing') return;
  throw new HoldfastError('NotSupported', `${conflict} is not supported by this version`, {
    hint: 'insert-missing is: rows whose key is absent come back, existing rows are not touched',
  });
}
