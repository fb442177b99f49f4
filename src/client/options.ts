import { type Command, Option } from 'commander';
import { findConfig } from '../config/find.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { formatFailure, HoldfastError } from '../model/failure.ts';
import { type ExitCode, exitCodeOfError } from './exit.ts';

export type OutputFormat = 'text' | 'json';

/** What every command needs: the configuration and one way to answer and to fail. */
export interface CommandContext {
  config: LoadedConfig;
  output: OutputFormat;
  /** the value as JSON with `--output json`, else the text (default: the value itself, indented) on stdout */
  print(value: unknown, text?: string): void;
  /** reports on stderr and sets the exit code, which it returns */
  fail(error: unknown): ExitCode;
}

/** Adds `--config` and `--output`: every command has both. */
export function withGlobalOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--config <file>',
        'configuration file (default: HOLDFAST_CONFIG, ./holdfast.yaml, ./.holdfast/holdfast.yaml)',
      ),
    )
    .addOption(
      new Option('--output <format>', 'form of the answer').choices(['text', 'json']).default('text'),
    );
}

export function outputOf(command: Command): OutputFormat {
  return command.optsWithGlobals().output === 'json' ? 'json' : 'text';
}

/** The file that `--config` names, else the one found. Throws InvalidConfiguration where there is none. */
export async function configPathOf(command: Command): Promise<string> {
  const given: unknown = command.optsWithGlobals().config;
  return findConfig({ given: typeof given === 'string' ? given : undefined });
}

/**
 * Where a command has to know its databases: as the `file` says, because it does not matter; or where they live `now`, which
 * fails with the repository away; or now `if known`, with a note where the repository does not say.
 */
export type Places = 'file' | 'now' | 'if known';

/** Loads and checks the configuration of a command. Throws InvalidConfiguration. */
export async function openContext(command: Command, places: Places = 'file'): Promise<CommandContext> {
  const output = outputOf(command);
  const file = await loadConfig(await configPathOf(command));
  const config = places === 'file' ? file : await locate(file, places);
  return {
    config,
    output,
    print: (value, text) => printAnswer(output, value, text),
    fail: (error) => reportFailure(error, output),
  };
}

/** A person waits: an S3 that does not answer within this is away. */
const PATIENCE_MS = 3_000;

async function locate(file: LoadedConfig, places: Places): Promise<LoadedConfig> {
  const { locateDatabases } = await import('../repository/locate.ts');
  try {
    return await locateDatabases(file, PATIENCE_MS);
  } catch (error) {
    if (places === 'now') throw error;
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`note: databases are taken to live where the configuration says: ${why}\n`);
    return file;
  }
}

export function printAnswer(output: OutputFormat, value: unknown, text?: string): void {
  const answer =
    output === 'text' && (text !== undefined || typeof value === 'string')
      ? (text ?? String(value))
      : JSON.stringify(value, null, 2);
  process.stdout.write(answer.endsWith('\n') ? answer : `${answer}\n`);
}

/** Two lines for people, `{error: {type, message, hint}}` for programs; on stderr. Sets `process.exitCode`. */
export function reportFailure(error: unknown, output: OutputFormat): ExitCode {
  const known = error instanceof HoldfastError ? error : null;
  const message = error instanceof Error ? error.message : String(error);
  const text =
    output === 'json'
      ? JSON.stringify({ error: { type: known?.type ?? 'Unexpected', message, hint: known?.hint ?? null } })
      : formatFailure(known === null ? `unexpected: ${message}` : message, known?.hint);
  process.stderr.write(`${text}\n`);
  const code = exitCodeOfError(error);
  process.exitCode = code;
  return code;
}

/**
 * A commander action that reports what its handler throws, in the form that `--output` asks for. The handler's
 * parameters are commander's (arguments, options, command); it may return an exit code.
 */
export function action<A extends unknown[]>(
  handler: (...parameters: A) => Promise<ExitCode | undefined> | Promise<void>,
): (...parameters: A) => Promise<void> {
  return async (...parameters) => {
    try {
      process.exitCode = (await handler(...parameters)) ?? process.exitCode ?? 0;
    } catch (error) {
      reportFailure(error, outputOf(parameters.at(-1) as Command));
    }
  };
}
