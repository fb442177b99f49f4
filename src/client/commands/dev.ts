import { relative, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_PORTS, type PortNumbers } from '../dev/choose-ports.ts';
import { layoutOf } from '../dev/configuration.ts';
import { inspectStack, type StackStatus } from '../dev/inspection.ts';
import { takeDown } from '../dev/shutdown.ts';
import type { UpResult } from '../dev/stack.ts';
import {
  findStateDirectory,
  openStateDirectory,
  type PortName,
  SHOP_KINDS,
  type ShopKind,
  withStateLock,
} from '../dev/state.ts';
import { untilInterrupted } from '../dev/wait.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { action, type OutputFormat, outputOf, printAnswer, withGlobalOptions } from '../options.ts';
import { formatTable, shellQuote, style, terminalWidth } from '../output.ts';

const SAMPLE_ORDERS = 5_000;
const STATE_HELP = 'directory of the state (default: HOLDFAST_STATE, ./.holdfast)';

interface UpArguments extends Record<`${PortName}Port`, number | undefined> {
  detach?: true;
  engine?: ShopKind;
  state?: string;
  config?: string;
}

/** `holdfast dev`: everything that Holdfast needs on one machine, to try it and to develop it. */
export function devCommand(): Command {
  const command = new Command('dev').description(
    'run everything on this machine: Temporal, S3, a database with sample data, a worker for each of two sites',
  );
  command.addCommand(upCommand());
  command.addCommand(downCommand());
  command.addCommand(statusCommand());
  return command;
}

function upCommand(): Command {
  return withGlobalOptions(new Command('up'))
    .description('start what is not running; the state survives down and up')
    .option('--detach', 'return when everything runs; without it, Ctrl-C ends everything')
    .addOption(
      new Option(
        '--engine <engine>',
        'what the sample database is (default: what it was before, or postgres)',
      ).choices(SHOP_KINDS),
    )
    .option('--state <dir>', STATE_HELP)
    .option('--temporal-port <n>', `port of Temporal (default: ${DEFAULT_PORTS.temporal})`, parsePort)
    .option('--ui-port <n>', `port of Temporal's UI (default: ${DEFAULT_PORTS.ui})`, parsePort)
    .option('--s3-port <n>', `port of S3 (default: ${DEFAULT_PORTS.s3})`, parsePort)
    .option('--postgres-port <n>', `port of PostgreSQL (default: ${DEFAULT_PORTS.postgres})`, parsePort)
    .option('--mysql-port <n>', `port of MySQL or MariaDB (default: ${DEFAULT_PORTS.mysql})`, parsePort)
    .addHelpText(
      'after',
      `
Port 0 is any free one. Ports once chosen are remembered in the state.
The workers run with the holdfast.yaml that is written into the state; with --config they run with that file
instead, which may name other databases too (copy the written one and change it); running workers are started
anew where the file is another one or has changed. Site second has a worker of its own. Where a disaster recovery
took the database there, its server there is started, not the old one.

An environment has one sample database: for another engine make another one with --state, on other ports.

Examples:
  holdfast dev up --detach
  holdfast dev up --detach --engine mysql --state .holdfast-mysql --temporal-port 0 --ui-port 0 --s3-port 0
  holdfast dev up --temporal-port 0 --ui-port 0 --s3-port 0 --postgres-port 0`,
    )
    .action(
      action(async (options: UpArguments, command: Command): Promise<ExitCode> => {
        const output = outputOf(command);
        const { directory, notice } = await openStateDirectory(options.state);
        const say = (line: string) => void (output === 'text' && process.stdout.write(`${line}\n`));
        if (notice !== null) say(notice);
        const stop = new AbortController();
        const interrupt = () => stop.abort(new Error('interrupted'));
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
        await withStateLock(directory, () => up(directory, options, output, { say, signal: stop.signal }));
        if (options.detach) return EXIT.done;
        say(style('dim', 'Ctrl-C ends everything'));
        await untilInterrupted(stop.signal, directory, say);
        say('');
        await withStateLock(directory, () => takeDown(directory, say));
        return EXIT.done;
      }),
    );
}

async function up(
  directory: string,
  options: UpArguments,
  output: OutputFormat,
  run: { say: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  // Loaded here: `status` and `down` have to be quick.
  const { bringUp } = await import('../dev/stack.ts');
  const { protect } = await import('../dev/protect.ts');
  const result = await bringUp({
    directory,
    ...(options.engine !== undefined && { shop: options.engine }),
    ports: portsOf(options),
    config: options.config === undefined ? null : resolve(options.config),
    second: true,
    orders: SAMPLE_ORDERS,
    ...run,
  });
  const lines = await protect(directory, result);
  const status = await inspectStack(directory);
  const answer = { ...status, started: result.started, config: result.config };
  printAnswer(
    output,
    answer,
    `${formatStack(status)}\n\n${lines.join('\n')}\n\n${await formatNext(result, directory)}`,
  );
}

function portsOf(options: UpArguments): Partial<PortNumbers> {
  const asked: Partial<Record<PortName, number | undefined>> = {
    temporal: options.temporalPort,
    ui: options.uiPort,
    s3: options.s3Port,
    postgres: options.postgresPort,
    mysql: options.mysqlPort,
  };
  return Object.fromEntries(Object.entries(asked).filter(([, port]) => port !== undefined));
}

function downCommand(): Command {
  return withGlobalOptions(new Command('down'))
    .description('end what `dev up` started, and nothing else; the state stays')
    .option('--state <dir>', STATE_HELP)
    .addHelpText('after', '\nExample:\n  holdfast dev down')
    .action(
      action(async (options: { state?: string }, command: Command): Promise<void> => {
        const output = outputOf(command);
        const directory = await findStateDirectory(options.state);
        if (directory === null) {
          return printAnswer(
            output,
            { ended: [], takenOver: 0, instances: 0 },
            'nothing was ever started here',
          );
        }
        const say = (line: string) => void (output === 'text' && process.stdout.write(`${line}\n`));
        const result = await withStateLock(directory, () => takeDown(directory, say));
        const nothing = result.ended.length + result.takenOver + result.instances === 0;
        const others = [
          ...(result.takenOver === 0 ? [] : [`${result.takenOver} that took the database over`]),
          ...(result.instances === 0 ? [] : [`${result.instances} restored`]),
        ];
        printAnswer(
          output,
          result,
          nothing
            ? 'nothing was running'
            : `ended ${[`${result.ended.length} programs`, ...others].join(', ')}; the state stays in ${directory}`,
        );
      }),
    );
}

function statusCommand(): Command {
  return withGlobalOptions(new Command('status'))
    .description('show what runs; exit code 1 where something does not')
    .option('--state <dir>', STATE_HELP)
    .addHelpText('after', '\nExample:\n  holdfast dev status')
    .action(
      action(async (options: { state?: string }, command: Command): Promise<ExitCode> => {
        const directory = await findStateDirectory(options.state);
        if (directory === null) {
          printAnswer(outputOf(command), { directory: null, programs: [] }, 'nothing was ever started here');
          return EXIT.failed;
        }
        const status = await inspectStack(directory);
        printAnswer(outputOf(command), status, `${formatStack(status)}\n\nstate in ${directory}`);
        return status.programs.every(({ state }) => state === 'running') ? EXIT.done : EXIT.failed;
      }),
    );
}

function formatStack({ programs }: StackStatus): string {
  return formatTable(
    [{ head: 'program' }, { head: 'state' }, { head: 'pid', align: 'right' }, { head: 'address' }],
    programs.map(({ name, state, pid, address, log }) => [
      name,
      style(state === 'running' ? 'green' : 'red', state),
      pid === null ? '-' : String(pid),
      state === 'running' ? (address ?? '-') : `log: ${log}`,
    ]),
    { width: terminalWidth() },
  );
}

async function formatNext({ config, description }: UpResult, directory: string): Promise<string> {
  const known =
    config === layoutOf(directory).config && directory === (await findStateDirectory('.holdfast'));
  const near = relative(process.cwd(), config);
  const option = known ? '' : ` --config ${shellQuote(near.startsWith('..') ? config : near)}`;
  const [database = 'shop'] = Object.keys(description.databases);
  return [
    `catalog   npx holdfast catalog ${database}${option}`,
    `runs      npx holdfast list${option}`,
    `UI        ${description.temporal.ui}`,
    `for programs: ${directory}/dev.json`,
  ].join('\n');
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('must be 0 to 65535.');
  return port;
}
