import { confirm, isCancel } from '@clack/prompts';
import { HoldfastError } from '../model/failure.ts';

/** Asks the person at the terminal; throws with this hint where there is nobody. Never takes silence for a yes. */
export async function isWanted(question: string, hint: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new HoldfastError('InvalidInput', 'this is no terminal: there is nobody to ask about the plan', {
      hint,
    });
  }
  const sure = await confirm({ message: question, initialValue: false });
  return !isCancel(sure) && sure;
}
