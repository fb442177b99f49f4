import { WATCH_PREFIX } from '../config/schedules.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * Asks the log watch of a host to look now, not at its next round: somebody waits for a log that only it ships. Where it
 * cannot be asked, its round comes all the same.
 */
export async function wakeWatcher({ client, logger }: Dependencies, host: string): Promise<void> {
  try {
    const schedule = await client.schedule.getHandle(`${WATCH_PREFIX}${host}`).describe();
    const last = schedule.info.recentActions.at(-1);
    if (last === undefined) return;
    await client.workflow.getHandle(last.action.workflow.workflowId).signal('look');
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    logger.warn({ host, problem }, 'the log watch could not be asked to look now');
  }
}
