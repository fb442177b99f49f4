import type { ChannelConfig } from '../config/schema.ts';
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
  /** The channels of the configuration, by names that hold no secret: `slack 1`. */
  async describeChannels(_: object): Promise<string[]> {
    return asActivity(async () => deps.config.config.notify.channels.map(nameOf));
  },

  /** Sends one alert through one channel. Receivers tell a repetition by its key. */
  async sendAlert(input: { alert: Alert; channel: string }): Promise<void> {
    return asActivity(async (run) => {
      const { channels } = deps.config.config.notify;
      const index = channels.findIndex((channel, at) => nameOf(channel, at) === input.channel);
      const config = channels[index];
      if (config === undefined) {
        throw new HoldfastError('InvalidConfiguration', `there is no channel ${input.channel} any more`);
      }
      const channel = await openChannel(deps, config, input.channel);
      await channel.send({ ...input.alert, url: pageFor(deps, input.alert) }, run.signal);
    });
  },
});

const nameOf = (channel: ChannelConfig, index: number): string => `${Object.keys(channel)[0]} ${index + 1}`;

async function openChannel(
  { config: { directory } }: Dependencies,
  config: ChannelConfig,
  name: string,
): Promise<Channel> {
  if ('slack' in config) return slack(name, { url: await readSecret(config.slack.url, directory) });
  if ('sns' in config) return sns(name, config.sns);
  const { url, secret } = config.webhook;
  return webhook(name, {
    url: await readSecret(url, directory),
    secret: await readSecret(secret, directory),
  });
}

/** The UI shows a run by its id alone, too: the run id is not known where an alert is raised from outside. */
function pageFor(deps: Dependencies, { workflowId }: Alert): string | null {
  const { ui } = deps.config.config.temporal;
  if (ui === undefined || workflowId === null) return null;
  return pageOf(ui, deps.client.options.namespace, { workflowId, runId: '' });
}
