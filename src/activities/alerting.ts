import { channelsOf } from '../config/channels.ts';
import type { ChannelConfig } from '../config/schema/notify.ts';
import type { SecretReference } from '../config/schema/primitives.ts';
import { readSecret } from '../config/secrets.ts';
import type { Alert } from '../model/alert.ts';
import { HoldfastError } from '../model/failure.ts';
import { pageOf } from '../model/temporal-page.ts';
import type { Channel } from '../notify/channel.ts';
import { slack } from '../notify/slack.ts';
import { sns } from '../notify/sns.ts';
import { webhook } from '../notify/webhook.ts';
import type { Dependencies } from './dependencies.ts';
import { asActivity } from './run.ts';

/** Alerts going out. Secrets are read here and nowhere earlier. */
export const createAlertActivities = (deps: Dependencies) => ({
  async describeChannels(_: object): Promise<string[]> {
    return asActivity(async () => [...channelsOf(deps.config.config).keys()]);
  },

  /** Sends one alert through one channel. Receivers tell a repetition by its key. */
  async sendAlert(input: { alert: Alert; channel: string }): Promise<void> {
    return asActivity(async (run) => {
      const config = channelsOf(deps.config.config).get(input.channel);
      if (config === undefined) {
        throw new HoldfastError('InvalidConfiguration', `there is no channel ${input.channel} any more`);
      }
      const channel = await openChannel(deps, config, input.channel);
      await channel.send({ ...input.alert, url: pageFor(deps, input.alert) }, run.signal);
    });
  },
});

async function openChannel(deps: Dependencies, config: ChannelConfig, name: string): Promise<Channel> {
  const read = (reference: SecretReference) => secretOf(deps, reference);
  if ('slack' in config) return slack(name, { url: await read(config.slack.url) });
  if ('sns' in config) return sns(name, config.sns);
  const { url, secret } = config.webhook;
  return webhook(name, { url: await read(url), secret: await read(secret) });
}

/** One that is not there yet may be when somebody has put it right: the alert waits for it. */
async function secretOf({ config }: Dependencies, reference: SecretReference): Promise<string> {
  try {
    return await readSecret(reference, config.directory);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { type, message, hint } = error;
    throw new HoldfastError(type, message, {
      retryable: true,
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** The UI shows a run by its id alone, too: the run id is not known where an alert is raised from outside. */
function pageFor(deps: Dependencies, { workflowId }: Alert): string | null {
  const { ui } = deps.config.config.temporal;
  if (ui === undefined || workflowId === null) return null;
  return pageOf(ui, deps.client.options.namespace, { workflowId, runId: '' });
}
