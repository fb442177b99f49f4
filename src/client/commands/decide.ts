import { confirm, isCancel, select, text } from '@clack/prompts';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Decide, ruleRefusal } from '../../model/decision.ts';
import { HoldfastError } from '../../model/failure.ts';
import { PLAN_RULES, type Plan, type PlanRule } from '../../model/plan.ts';
import type { RunbookStatus } from '../../model/runbook.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { observe } from '../observe.ts';
import { action, withGlobalOptions } from '../options.ts';
import { style, terminalWidth } from '../output.ts';
import { operatingSystemUser } from '../person.ts';
import { sendDecision } from '../runbook.ts';
import { type Session, withSession } from '../session.ts';
import { formatChoice, formatPlan, formatRule, ruleChoices } from '../view/plan.ts';

interface Options {
  plan?: string;
  by?: string;
  conflict?: PlanRule;
  drift?: number;
  comment?: string;
  yes?: true;
}

/** What a person answered, beyond yes. */
interface Choice {
  conflict?: PlanRule;
  comment?: string;
}

const VERBS = {
  approve: { past: 'approved', purpose: 'say yes to exactly the plan that a runbook shows' },
  reject: { past: 'rejected', purpose: 'say no to a plan: the runbook cleans up and changes nothing' },
} as const;
type Verb = keyof typeof VERBS;

/** `approve` and `reject`: the same but for the word, and for what only a yes can choose. */
export function decideCommand(verb: Verb): Command {
  const command = new Command(verb)
    .description(VERBS[verb].purpose)
    .argument('<id>', 'workflow id of the runbook that waits')
    .option('--plan <digest>', 'the plan that you looked at: its digest, or the first 8 or more digits of it')
    .option('--by <name>', 'who decides (default: the user of the operating system)');
  if (verb === 'approve') {
    command
      .addOption(
        new Option(
          '--conflict <rule>',
          "a rule of the plan's table of rules (default: the plan's own, marked *)",
        ).choices(PLAN_RULES),
      )
      .option(
        '--drift <rows>',
        'how many rows beyond the plan may be changed too, since production goes on (default: none)',
        readRows,
      );
  }
  command
    .option('--comment <text>', 'kept with the decision in the evidence')
    .option('--yes', 'do not ask; with the plan left out, whatever plan is shown')
    .addHelpText(
      'after',
      `
Without --plan it shows the plan and asks. A decision on a plan that has changed since does not count.

Examples:
  holdfast ${verb} pitr/shop/20260131T140500Z
  holdfast ${verb} pitr/shop/20260131T140500Z --plan 3f9a2c4188d0 --by anna --comment INC-42${
    verb === 'reject'
      ? ''
      : `
  holdfast approve pitr/shop/20260131T140500Z --plan 3f9a2c4188d0 --conflict restore-changed --drift 100`
  }`,
    );
  return withGlobalOptions(command).action(
    action((id: string, options: Options, self: Command) =>
      withSession(self, (session) => decide(session, verb, id, options)),
    ),
  );
}

function readRows(text: string): number {
  const rows = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (rows <= 1_000_000_000) return rows;
  throw new InvalidArgumentError('It is a number of rows, at most 1000000000.');
}

async function decide(session: Session, verb: Verb, id: string, options: Options): Promise<ExitCode> {
  const { status, closed, answered } = await observe(session.client, id);
  if (!closed && !answered) throw noWorker(id);
  const plan = planOf(status);
  const digest = options.plan === undefined ? plan.digest : completeDigest(options.plan, plan.digest);
  // Of another plan than this one the runbook itself says that it has changed.
  if (verb === 'approve' && digest === plan.digest) refuseChoice(id, plan, options);
  const answer = options.plan === undefined ? await ask(session, verb, status, options) : {};
  if (answer === null) return EXIT.declined;
  const conflict = options.conflict ?? answer.conflict;
  const comment = options.comment ?? answer.comment ?? '';
  const decided: Decide = {
    by: options.by ?? operatingSystemUser(),
    action: verb,
    plan: digest,
    ...(conflict === undefined ? {} : { conflict }),
    ...(options.drift === undefined ? {} : { drift: options.drift }),
    ...(comment === '' ? {} : { comment }),
  };
  const record = await sendDecision(session.client, id, decided);
  const what = `${VERBS[verb].past} ${record.name} of ${id} as ${record.by}, plan ${record.plan}`;
  session.print(record, what + formatChoice(record));
  return EXIT.done;
}

/** Right after a worker has died the server keeps tasks for it for some seconds. */
const noWorker = (id: string) =>
  new HoldfastError('NoWorker', `no worker answers for ${id}: what it waits for cannot be told`, {
    hint: 'where one has just been started, try again in a moment; else: holdfast worker --roles control',
  });

function planOf(status: RunbookStatus): Plan {
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

/**
 * Throws what the runbook would say of a rule or a drift, by the same code. Of the plan's own rule only where
 * nobody can be asked for another.
 */
function refuseChoice(id: string, plan: Plan, options: Options): void {
  if (options.conflict === undefined && options.plan === undefined && options.yes !== true) return;
  const refusal = ruleRefusal(plan, options);
  if (refusal === null) return;
  throw new HoldfastError('DecisionRefused', `the decision was refused: ${refusal}`, {
    hint: `see the rules of the plan: holdfast status ${id}`,
  });
}

/** Shows the plan and asks for a yes; null for a no. Never takes silence, or a missing terminal, for a yes. */
async function ask(
  session: Session,
  verb: Verb,
  status: RunbookStatus,
  options: Options,
): Promise<Choice | null> {
  const plan = planOf(status);
  if (session.output === 'text') {
    const reason = status.reason === '' ? '' : `for: ${status.reason}, requested by ${status.requestedBy}\n`;
    process.stdout.write(`${reason}${formatPlan(plan, terminalWidth())}\n\n`);
    showRule(plan, options.conflict);
  }
  if (options.yes === true) return {};
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new HoldfastError('InvalidInput', 'this is no terminal: there is nobody to ask about the plan', {
      hint: `name the plan that was looked at: holdfast ${verb} ${status.workflowId} --plan ${plan.digest}`,
    });
  }
  const asked = verb === 'approve' && options.conflict === undefined ? await askRule(plan) : {};
  if (asked === null) return declined();
  const rule = options.conflict ?? asked.conflict;
  const under = rule === undefined ? '' : ` with ${rule}`;
  const sure = await confirm({
    message: `${style('bold', verb)} exactly this plan of ${status.database}${under}?`,
    initialValue: false,
  });
  if (isCancel(sure) || !sure) return declined();
  if (verb === 'approve' || options.comment !== undefined) return asked;
  const why = await text({ message: 'why? (kept in the evidence; may be empty)' });
  return isCancel(why) ? null : { comment: why ?? '' };
}

function declined(): null {
  process.stdout.write('nothing decided\n');
  return null;
}

/** Which rule, where there is more than one to choose from; null where the person went away. */
async function askRule(plan: Plan): Promise<Choice | null> {
  const choices = ruleChoices(plan);
  if (choices.length < 2 && choices.some(({ value }) => value === plan.conflict)) return {};
  if (choices.length === 0) {
    if (plan.rules.length === 0) return {};
    throw new HoldfastError('DecisionRefused', 'no rule of this plan can be chosen', {
      hint: 'the plan says why; reject it',
    });
  }
  const own = choices.find(({ value }) => value === plan.conflict);
  const conflict = await select({
    message: 'which rule?',
    options: choices,
    ...(own === undefined ? {} : { initialValue: own.value }),
  });
  if (isCancel(conflict)) return null;
  showRule(plan, conflict);
  return { conflict };
}

/** The plan's own rule is in the plan; any other is shown in full before it is chosen. */
function showRule(plan: Plan, conflict: PlanRule | undefined): void {
  const rule = plan.rules.find((candidate) => candidate.conflict === conflict);
  if (rule === undefined || rule.conflict === plan.conflict) return;
  process.stdout.write(`${formatRule(plan, rule, terminalWidth())}\n\n`);
}
