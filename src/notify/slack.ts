import type { Channel, Message } from './channel.ts';
import { postJson } from './post.ts';
import { plainText } from './text.ts';

/** A Slack-compatible incoming webhook. */
export function slack(name: string, { url }: { url: string }): Channel {
  return {
    send: (message, signal) => postJson(name, url, { body: JSON.stringify(slackBody(message)) }, signal),
  };
}

const SIGNS: Record<Message['severity'], string> = {
  critical: ':red_circle:',
  warning: ':large_yellow_circle:',
  info: ':large_green_circle:',
};

/** `text` alone is understood everywhere, also by Mattermost and the like. */
export function slackBody(message: Message): { text: string } {
  const lines = plainText(message).split('\n');
  const [title = '', ...rest] = lines.map(escaped);
  const link = message.url === null ? [] : [`<${message.url}|open the run>`];
  return { text: [`${SIGNS[message.severity]} *${title}*`, ...rest, ...link].join('\n') };
}

/** Slack's own three characters (its documentation, "Escaping text"). */
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
