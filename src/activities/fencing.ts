import { runTool } from '../engines/process.ts';
import type { Fenced } from '../model/disaster.ts';
import { parseDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Run } from '../model/progress.ts';
import { databaseOf } from './access.ts';
import type { Dependencies } from './dependencies.ts';
import { askOldServer } from './old-server.ts';
import { asActivity } from './run.ts';

/** What a site does before it takes a database over. */
export const createFencingActivities = (deps: Dependencies) => ({
  /**
   * Makes sure that nobody writes into the old server any more: by the configured command, or by the word of those who
   * approved. Whoever says so, it is asked afterwards. Throws StillWritable.
   */
  async fenceOldServer(input: { database: string; approvedBy: string[] }): Promise<Fenced> {
    return asActivity(async (run) => {
      const { fence } = databaseOf(deps, input.database).config;
      if (fence !== undefined) await runFence(input.database, fence, run);
      const { state, detail } = await askOldServer(deps, input.database, run);
      if (state === 'writable') {
        throw new HoldfastError(
          'StillWritable',
          `the old server of ${input.database} can still be written to: ${detail}`,
          { hint: 'stop it, or keep every client away from it, and then: holdfast resume <workflow id>' },
        );
      }
      return fence === undefined
        ? { by: 'word', detail: `${input.approvedBy.join(', ')} approved; ${detail}` }
        : { by: 'command', detail: `${fence.command[0]} ended with exit code 0; ${detail}` };
    });
  },
});

async function runFence(
  database: string,
  { command, timeout }: { command: string[]; timeout: string },
  run: Run,
): Promise<void> {
  const [program = '', ...args] = command;
  const limit = AbortSignal.timeout(parseDuration(timeout));
  run.progress({ phase: 'fencing the old server', detail: program });
  try {
    await runTool(program, args, {
      signal: AbortSignal.any([run.signal, limit]),
      user: null,
      env: { HOLDFAST_DATABASE: database },
    });
  } catch (error) {
    run.signal.throwIfAborted();
    const why = limit.aborted
      ? `it took longer than ${timeout}`
      : error instanceof HoldfastError
        ? error.message
        : String(error);
    throw new HoldfastError('StillWritable', `the fence of ${database} failed: ${why}`, {
      hint: 'fence the old server by hand or mend the command (fence.command), and then: holdfast resume <workflow id>',
      cause: error,
    });
  }
}
