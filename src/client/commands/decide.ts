import { confirm, isCancel, text } from '@clack/prompts';
import { Command } from 'commander';
import type { Decide } from '../../model/decision.ts';
import { HoldfastError } from '../../model/failure.ts';
import type { RunbookStatus } from '../../model/runbook.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { observe } from '../observe.ts';
import { action, withGlobalOptions } from '../options.ts';
import { style, terminalWidth } from '../output.ts';
import { operatingSystemUser } from '../person.ts';
import { sendDecision } from '../runbook.ts';
import { type Session, withSession } from '../session.ts';
import { formatPlan } from '../view/plan.ts';

interface Options {
  plan?: string;
  by?: string;
  comment?: string;
  yes?: true;
}

const VERBS = {
  approve: { past: 'approved', purpose: 'say yes to exactly the plan that a runbook shows' },
  reject: { past: 'rejected', purpose: 'say no to a plan: the runbook cleans up and changes nothing' },
} as const;
type Verb = keyof typeof VERBS;

/** `approve` and `reject`: the same but for the word. */
export function decideCommand(verb: Verb): Command {
  const command = new Command(verb)
    .description(VERBS[verb].purpose)
    .argument('<id>', 'workflow id of the runbook that waits')
    .option('--plan <digest>', 'the plan that you looked at: its digest, or the first 8 or more digits of it')
    .option('--by <name>', 'who decides (default: the user of the operating system)')
    .option('--comment <text>', 'kept with the decision in the evidence')
    .option('--yes', 'do not ask; with the plan left out, whatever plan is shown')
    .addHelpText(
      'after',
      `
Without --plan it shows the plan and asks. A decision on a plan that has changed since does not count.

Examples:
  holdfast ${verb} pitr/shop/20260131T140500Z
  holdfast ${verb} pitr/shop/20260131T140500Z --plan 3f9a2c4188d0 --by anna --comment INC-42`,
    );
  return withGlobalOptions(command).action(
    action((id: string, options: Options, self: Command) =>
      withSession(self, (session) => decide(session, verb, id, options)),
    ),
  );
}

async function decide(session: Session, verb: Verb, id: string, options: Options): Promise<ExitCode> {
  const { status } = await observe(session.client, id);
  const plan = planOf(status);
  let comment = options.comment;
  if (options.plan === undefined) {
    const answer = await ask(session, verb, status, options);
    if (answer === null) return EXIT.declined;
    comment ??= answer.comment;
  }
  const decided: Decide = {
    by: options.by ?? operatingSystemUser(),
    action: verb,
    plan: options.plan === undefined ? plan.digest : completeDigest(options.plan, plan.digest),
    ...(comment === undefined || comment === '' ? {} : { comment }),
  };
  const record = await sendDecision(session.client, id, decided);
  session.print(record, `${VERBS[verb].past} ${record.name} of ${id} as ${record.by}, plan ${record.plan}`);
  return EXIT.done;
}

function planOf(status: RunbookStatus) {
  if (status.waitingFor !== null && status.plan !== null) return status.plan;
  throw new HoldfastError(
    'DecisionRefused',
    `${status.workflowId} does not wait for a decision: it is ${status.outcome}`,
    {
      hint: `see what it does: holdfast status ${status.workflowId}`,
    },
  );
}

/** The whole digest where its beginning is given, with or without `sha256:`; else as given, for the runbook to refuse. */
export function completeDigest(given: string, digest: string): string {
  const digits = (text: string) => text.replace(/^sha256:/, '');
  return digits(given).length >= 8 && digits(digest).startsWith(digits(given)) ? digest : given;
}

/** Shows the plan and asks for a yes; null for a no. Never takes silence, or a missing terminal, for a yes. */
async function ask(
  session: Session,
  verb: Verb,
  status: RunbookStatus,
  options: Options,
): Promise<{ comment?: string } | null> {
  const plan = planOf(status);
  if (session.output === 'text') {
    const reason = status.reason === '' ? '' : `for: ${status.reason}, requested by ${status.requestedBy}\n`;
    process.stdout.write(`${reason}${formatPlan(plan, terminalWidth())}\n\n`);
  }
  if (options.yes === true) return {};
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new HoldfastError('InvalidInput', 'this is no terminal: there is nobody to ask about the plan', {
      hint: `name the plan that was looked at: holdfast ${verb} ${status.workflowId} --plan ${plan.digest}`,
    });
  }
  const sure = await confirm({
    message: `${style('bold', verb)} exactly this plan of ${status.database}?`,
    initialValue: false,
  });
  if (isCancel(sure) || !sure) {
    process.stdout.write('nothing decided\n');
    return null;
  }
  if (verb === 'approve' || options.comment !== undefined) return {};
  const why = await text({ message: 'why? (kept in the evidence; may be empty)' });
  return isCancel(why) ? null : { comment: why ?? '' };
}
