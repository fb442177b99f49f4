import { Command } from 'commander';
import type { Finding } from '../../model/finding.ts';
import type { LeftProbe } from '../../repository/bucket/check/check.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { interruptible } from '../long-command.ts';
import { action, type CommandContext, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { formatFinding } from '../view/finding.ts';

/** The answer of `repository check --output json`. */
interface CheckAnswer {
  bucket: string;
  ok: boolean;
  checks: Finding[];
  /** probes that are locked for some seconds yet, each below a delete marker */
  left: LeftProbe[];
}

const PATIENCE_MS = 10_000;

export function checkCommand(): Command {
  const command = new Command('check')
    .summary('try what must fail: deleting, shortening locks, writing with the restore role')
    .description(
      'Try, with the credentials of the configuration, what nobody may do to the backups, and what has to work. Every attempt is made on objects of its own below doctor/: no backup is touched, and no setting is changed, since whatever is put is what was there.',
    )
    .addHelpText(
      'after',
      `
A line per attempt, OK or FAILED with what to do. Exit code 1 where one failed. A probe is locked for a minute: it stays
below a delete marker, and lifecycle removes it.

Example:
  holdfast repository check --output json`,
    );
  return withGlobalOptions(command).action(
    action(async (_options: unknown, self: Command) => {
      const context = await openContext(self);
      return interruptible((signal) => check(context, signal));
    }),
  );
}

async function check({ config, output, print }: CommandContext, signal: AbortSignal): Promise<ExitCode> {
  const { checkBucket } = await import('../../repository/bucket/check/check.ts');
  const { bucket } = config.config.repository;
  const checks: Finding[] = [];
  const checking = checkBucket(config, { now: new Date(), patienceMs: PATIENCE_MS, signal });
  let left: LeftProbe[] = [];
  for (;;) {
    const step = await checking.next();
    if (step.done === true) {
      left = step.value;
      break;
    }
    checks.push(step.value);
    if (output === 'text') process.stdout.write(`${formatFinding(step.value, terminalWidth())}\n`);
  }
  const ok = checks.every((finding) => finding.ok);
  const answer: CheckAnswer = { bucket, ok, checks, left };
  if (output === 'json') print(answer);
  else if (left.length > 0) print(null, formatLeft(left));
  return ok ? EXIT.done : EXIT.failed;
}

function formatLeft(left: readonly LeftProbe[]): string {
  const until = left.flatMap(({ lockedUntil }) => lockedUntil ?? []).sort();
  const lock = until.length === 0 ? 'cannot be removed' : `locked until ${until.at(-1)}`;
  return `left behind, below delete markers and ${lock}: ${left.map(({ key }) => key).join(', ')}`;
}
