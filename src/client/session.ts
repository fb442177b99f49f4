import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { RunbookStatus } from '../model/runbook.ts';
import { pageOf } from '../model/temporal-page.ts';
import { type CommandContext, openContext, type Places } from './options.ts';
import { withRepository } from './recoverable.ts';
import { inWords } from './rpc.ts';
import type { StartedRun } from './runbook.ts';
import { connectTemporal } from './temporal.ts';
import { temporalCommand, temporalUi } from './temporal-ui.ts';
import type { StartedView } from './view/started.ts';

/** A command's configuration and its connection to Temporal. */
export interface Session extends CommandContext {
  client: Client;
  /** options that every shown command has to repeat to reach the same configuration */
  again: string[];
  /** where to look at a run besides this program */
  locate(run: StartedRun): Promise<StartedView>;
  /** what a runbook left in the repository; null where there is nothing, or the repository does not answer */
  readEvidence(database: string, workflowId: string): Promise<RunbookStatus | null>;
}

/** Opens the configuration and the connection for one command, and closes the connection after it. */
export async function withSession<T>(
  command: Command,
  work: (session: Session) => Promise<T>,
  places: Places = 'file',
): Promise<T> {
  const context = await openContext(command, places);
  const temporal = await connectTemporal(context.config);
  const { client, address, namespace } = temporal;
  try {
    return await work({
      ...context,
      client,
      again: againOptions(command),
      locate: async (run) => {
        const ui = await temporalUi(context.config, address);
        return {
          ...run,
          page: ui === null ? null : pageOf(ui, namespace, run),
          temporal: temporalCommand({ address, namespace }, 'describe', run.workflowId),
        };
      },
      readEvidence: (database, workflowId) => readEvidence(context, database, workflowId),
    });
  } catch (error) {
    throw inWords(error, address);
  } finally {
    await temporal.close();
  }
}

export function againOptions(command: Command): string[] {
  const config: unknown = command.optsWithGlobals().config;
  return typeof config === 'string' ? ['--config', config] : [];
}

/** An S3 that is away must not keep a person from seeing what the Temporal server knows. */
const PATIENCE_MS = 3_000;

async function readEvidence(
  { config }: CommandContext,
  database: string,
  workflowId: string,
): Promise<RunbookStatus | null> {
  const { readEvidence: read } = await import('../repository/evidence.ts');
  const { evidenceKey } = await import('../repository/layout.ts');
  try {
    const evidence = await withRepository(
      config,
      (repository) => read(repository, database, workflowId),
      PATIENCE_MS,
    );
    return evidence === null ? null : { ...evidence.status, evidence: evidenceKey(database, workflowId) };
  } catch {
    return null;
  }
}
