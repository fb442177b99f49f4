import type { ChannelConfig } from './schema/notify.ts';
import type { Config } from './schema.ts';
import { describeReference } from './secrets.ts';

/** The channels by names that hold no secret: `slack 1`, `webhook 2`. */
export function channelsOf({ notify }: Config): Map<string, ChannelConfig> {
  return new Map(
    notify.channels.map((channel, index) => [`${Object.keys(channel)[0]} ${index + 1}`, channel]),
  );
}

/** Each for people, and where its secrets are. */
export function describeChannels(config: Config): string[] {
  return [...channelsOf(config)].map(([name, channel]) => `${name} (${placeOf(channel)})`);
}

function placeOf(channel: ChannelConfig): string {
  if ('slack' in channel) return describeReference(channel.slack.url);
  if ('sns' in channel) return channel.sns.topicArn;
  return describeReference(channel.webhook.url);
}
