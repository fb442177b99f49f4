import { execa } from 'execa';

/** Runs a client program at the terminal until it ends; its exit code, or -1 where a signal ended it. */
export async function runAtTerminal(
  file: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<number> {
  // It handles Ctrl-C itself (it cancels the query); it must not take this process, and the terminal, with it.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  try {
    const { exitCode } = await execa(file, args, { stdio: 'inherit', env, reject: false });
    return exitCode ?? -1;
  } finally {
    process.removeListener('SIGINT', ignore);
  }
}
