import { relative } from 'node:path';
import { confirm, isCancel } from '@clack/prompts';
import { Command, Option } from 'commander';
import { HoldfastError } from '../../model/failure.ts';
import type { Plan } from '../../model/plan.ts';
import { withTemporal } from '../dev/protect.ts';
import { takeDown } from '../dev/shutdown.ts';
import { bringUp, type UpResult } from '../dev/stack.ts';
import {
  findStateDirectory,
  openStateDirectory,
  removeStateDirectory,
  SHOP_KINDS,
  type ShopKind,
  withStateLock,
} from '../dev/state.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { reportFailure } from '../options.ts';
import { Narrator } from './narrator.ts';
import { tellStory, type Verdict } from './story.ts';

const STATE = '.holdfast-demo';
const ORDERS = 25_000;
const ANY_PORT = { temporal: 0, ui: 0, s3: 0, postgres: 0, mysql: 0 };

interface Options {
  engine: ShopKind;
  yes?: true;
  keep?: true;
  output: 'text' | 'json';
}

const options = new Command('demo')
  .description(
    'protect a database, lose rows of it, and get them back: about two minutes, all on this machine',
  )
  .addOption(new Option('--engine <engine>', 'what the database is').choices(SHOP_KINDS).default('postgres'))
  .option('--yes', 'approve the plan without asking')
  .option('--keep', 'leave everything running, to look around')
  .addOption(
    new Option('--output <format>', 'json: nothing but the last line')
      .choices(['text', 'json'])
      .default('text'),
  )
  .parse()
  .opts<Options>();

process.exitCode = await main(options);

async function main({ engine, yes, keep, output }: Options): Promise<ExitCode> {
  if (!yes && !(process.stdin.isTTY && process.stdout.isTTY)) {
    return reportFailure(
      new HoldfastError('InvalidInput', 'the demo asks for an approval, and there is no terminal to ask at', {
        hint: 'npm run demo -- --yes approves without asking',
      }),
      output,
    );
  }
  const narrator = new Narrator(output === 'text');
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const aborted = rejectWhenAborted(stop.signal);
  const starting = start(narrator, engine, stop.signal);
  let verdict: Verdict | null = null;
  try {
    const up = await Promise.race([starting, aborted]);
    // A long statement does not hear the signal: it ends when its server is ended.
    verdict = await Promise.race([play(narrator, up, stop, yes === true), aborted]);
  } catch (error) {
    if (stop.signal.aborted) process.stderr.write('\ninterrupted\n');
    else reportFailure(error, output);
  }
  // What is still being started cannot be ended yet; the signal ends that soon.
  await starting.catch(() => {});
  const stays = keep === true && !stop.signal.aborted;
  if (stays) await tellWhatStays(narrator);
  else await cleanUp(narrator);
  process.stdout.write(`${JSON.stringify(verdict ?? { ok: false })}\n`);
  if (verdict?.outcome === 'rejected') return EXIT.declined;
  return verdict?.ok === true ? EXIT.done : EXIT.failed;
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

async function start(narrator: Narrator, shop: ShopKind, signal: AbortSignal): Promise<UpResult> {
  narrator.chapter('Start everything, on free ports of this machine');
  if ((await findStateDirectory(STATE)) !== null) {
    narrator.say('(an earlier demo is still there: it is ended and removed first)');
    await endAndRemove();
  }
  const { directory, notice } = await openStateDirectory(STATE);
  if (notice !== null) narrator.say(notice);
  return withStateLock(directory, () =>
    bringUp({
      ...{ directory, shop, ports: ANY_PORT, config: null, orders: ORDERS, signal },
      say: (line) => narrator.say(line),
    }),
  );
}

function play(narrator: Narrator, up: UpResult, stop: AbortController, yes: boolean): Promise<Verdict> {
  return withTemporal(up.description, (client) =>
    tellStory({
      ...{ narrator, up, client, signal: stop.signal },
      approve: (plan) => (yes ? approveAtOnce(narrator) : ask(plan, stop)),
    }),
  );
}

async function approveAtOnce(narrator: Narrator): Promise<boolean> {
  narrator.say('--yes: approved.');
  return true;
}

async function ask(plan: Plan, stop: AbortController): Promise<boolean> {
  const answer = await confirm({
    message: `Approve plan ${plan.digest}?`,
    initialValue: false,
    signal: stop.signal,
  });
  // Ctrl-C at a prompt is read by the prompt, and means the whole demo.
  if (isCancel(answer)) stop.abort(new Error('interrupted'));
  stop.signal.throwIfAborted();
  return answer === true;
}

async function tellWhatStays(narrator: Narrator): Promise<void> {
  const directory = await findStateDirectory(STATE);
  if (directory === null) return;
  narrator.chapter('Everything is left running');
  const config = relative(process.cwd(), `${directory}/holdfast.yaml`);
  narrator.show(
    [
      `npx holdfast list --config ${config}`,
      `npx holdfast catalog shop --config ${config}`,
      `npx holdfast dev status --state ${STATE}`,
      `npx holdfast dev down --state ${STATE}     (the next demo removes its files)`,
    ].join('\n'),
  );
}

async function cleanUp(narrator: Narrator): Promise<void> {
  narrator.say('');
  narrator.say('ending and removing everything that the demo started');
  await endAndRemove();
}

async function endAndRemove(): Promise<void> {
  const directory = await findStateDirectory(STATE);
  if (directory === null) return;
  await withStateLock(directory, () => takeDown(directory));
  await removeStateDirectory(STATE);
}
