import { Command } from 'commander';
import { describeTarget } from '../../model/target.ts';
import { EXIT } from '../exit.ts';
import { action, withGlobalOptions } from '../options.ts';
import { shellQuote } from '../output.ts';
import { sendRetarget } from '../runbook.ts';
import { withSession } from '../session.ts';
import { awaitRun } from '../started.ts';
import { readTarget, TARGET_OPTIONS, type TargetOptions } from '../target-options.ts';

export function retargetCommand(): Command {
  const command = new Command('retarget')
    .summary('recover to another moment, while a plan waits')
    .description(
      'Change the target of a recovery that waits for a decision, or that has handed its instance over. The plan is new then, and approvals of the old one are void. Where the new target cannot be reached, that is said and the old plan stands; where only the replay finds that out, it goes back to the old target and asks anew.',
    )
    .argument('<id>', 'workflow id of the recovery');
  for (const option of TARGET_OPTIONS) command.addOption(option);
  command
    .option('--wait', 'follow it until there is a new plan to decide on (exit code 3), or it has ended')
    .addHelpText(
      'after',
      `
Forward it replays on from where it is, back it restores again.

Examples:
  holdfast retarget pitr/shop/20260131T140500Z --time 2026-01-31T14:03:00Z
  holdfast retarget pitr/shop/20260131T140500Z --xid 4711 --wait`,
    );
  return withGlobalOptions(command).action(
    action(async (id: string, options: TargetOptions & { wait?: true }, self: Command) => {
      const target = readTarget(options);
      return withSession(self, async (session) => {
        const answer = await sendRetarget(session.client, id, target);
        const waits = options.wait === true;
        if (!waits || session.output === 'text') {
          const tail = session.again.map((option) => ` ${shellQuote(option)}`).join('');
          const follow = `follow  holdfast status ${shellQuote(id)} --watch${tail}`;
          const what = `${id} goes to ${describeTarget(answer.target)}, from backup ${answer.backup}`;
          session.print({ workflowId: id, ...answer }, waits ? `${what}\n` : `${what}\n${follow}`);
        }
        return waits ? awaitRun(session, id) : EXIT.done;
      });
    }),
  );
}
