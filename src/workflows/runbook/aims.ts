import { isCancellation } from '@temporalio/workflow';
import type { Base } from '../../activities/recovery-types.ts';
import { countOf } from '../../model/plan.ts';
import { describeTarget, type Target } from '../../model/target.ts';
import { failureOf, isFinal, textOf } from './failure.ts';
import type { Aim } from './retarget.ts';
import type { Ending, Runbook } from './runbook.ts';

/** The step that chooses the base of a target, or shows the one that is chosen. */
export async function aimAt(runbook: Runbook, target: Target, find: () => Promise<Base>): Promise<Aim> {
  const base = await runbook.step('choose base', find, ({ backup, logs, beforeReplay }) =>
    [
      `${backup}; ${countOf(logs, 'log')} up to ${describeTarget(target)}, every one present`,
      ...(beforeReplay === undefined ? [] : [beforeReplay]),
    ].join('; '),
  );
  return { target, base };
}

/**
 * Goes to one aim after the other, as people name them while they are asked. That a new one cannot be reached may
 * be known only on the way: then it says so and goes back to the one before, with a new plan for that. `again` are
 * the steps that every aim needs anew.
 */
export async function followAims(
  runbook: Runbook,
  again: readonly string[],
  first: Aim,
  use: (aim: Aim) => Promise<Ending | 'retargeted'>,
): Promise<Ending> {
  const goTo = async ({ target, base }: Aim) => {
    runbook.startOver(again);
    return use(await aimAt(runbook, target, async () => base));
  };
  let aim = first;
  let ending = await use(first);
  while (ending === 'retargeted') {
    const before = aim;
    const next = runbook.takeAim();
    aim = next;
    ending = await goTo(next).catch((error: unknown) => {
      const failure = failureOf(error);
      // With a plan the aim was reached: whatever failed, it was not that.
      if (isCancellation(error) || runbook.status.plan !== null || !isFinal(failure)) throw error;
      aim = before;
      const [wanted, kept] = [describeTarget(next.target), describeTarget(before.target)];
      runbook.explain(`${wanted} cannot be reached, so the target is ${kept} again: ${textOf(failure)}`);
      return goTo(before);
    });
  }
  return ending;
}
