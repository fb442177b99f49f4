import { isCancellation, log } from '@temporalio/workflow';
import type { Alert } from '../model/alert.ts';
import { alerting, control } from './proxies.ts';
import { failureOf } from './runbook/failure.ts';

/** Sends an alert through every channel, each as long as it takes, for a day; one that is broken holds up no other. */
export async function deliverAlert(alert: Alert): Promise<{ sent: string[]; failed: string[] }> {
  const channels = await control.describeChannels({});
  const sent: string[] = [];
  const failed: string[] = [];
  await Promise.all(
    channels.map(async (channel) => {
      try {
        await alerting.sendAlert({ alert, channel });
        sent.push(channel);
      } catch (error) {
        if (isCancellation(error)) throw error;
        const { message } = failureOf(error);
        log.error('an alert was not delivered', { channel, key: alert.key, reason: message });
        failed.push(`${channel}: ${message}`);
      }
    }),
  );
  return { sent: sent.sort(), failed: failed.sort() };
}
