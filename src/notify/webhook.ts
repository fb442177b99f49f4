import { createHmac } from 'node:crypto';
import type { Channel } from './channel.ts';
import { postJson } from './post.ts';

/**
 * A generic webhook: the message as JSON. `Holdfast-Timestamp` is the time of sending in seconds since 1970, and
 * `Holdfast-Signature` is `v1=` and the HMAC-SHA256, in hex, of `<timestamp>.<body>` under the channel's secret: who
 * receives it knows that it is ours, and that it is not an old one sent again.
 */
export function webhook(name: string, { url, secret }: { url: string; secret: string }): Channel {
  return {
    send(message, signal) {
      const body = JSON.stringify(message);
      const timestamp = String(Math.trunc(Date.now() / 1_000));
      const headers = {
        'holdfast-timestamp': timestamp,
        'holdfast-signature': signatureOf(secret, timestamp, body),
      };
      return postJson(name, url, { body, headers }, signal);
    },
  };
}

export const signatureOf = (secret: string, timestamp: string, body: string): string =>
  `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
