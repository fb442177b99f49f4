import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { HoldfastError } from '../model/failure.ts';
import type { Channel, Message } from './channel.ts';
import { plainText } from './text.ts';

/** SNS refuses a longer subject, and any with a line break (API reference, Publish). */
const SUBJECT_CHARACTERS = 100;
/** Its own limit is 256 KiB for the whole message. */
const TEXT_CHARACTERS = 50_000;

/** An SNS topic, by the credentials that AWS gives the worker (role, variables, profile). */
export function sns(
  name: string,
  topic: { topicArn: string; region: string; endpoint?: string | undefined },
): Channel {
  return {
    async send(message, signal) {
      const { topicArn, region, endpoint } = topic;
      const client = new SNSClient({
        region,
        maxAttempts: 1,
        ...(endpoint === undefined ? {} : { endpoint }),
      });
      try {
        await client.send(new PublishCommand({ TopicArn: topicArn, ...snsMessage(message) }), {
          abortSignal: signal,
        });
      } catch (error) {
        signal.throwIfAborted();
        throw refusal(name, error);
      } finally {
        client.destroy();
      }
    },
  };
}

export function snsMessage(message: Message): { Subject: string; Message: string } {
  const link = message.url === null ? '' : `\n${message.url}`;
  return {
    // Printable ASCII alone.
    Subject: message.title.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, SUBJECT_CHARACTERS),
    Message: `${plainText(message)}${link}`.slice(0, TEXT_CHARACTERS),
  };
}

function refusal(name: string, error: unknown): HoldfastError {
  const { name: code = 'unknown error', $metadata } = error as {
    name?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  const retryable = status === 0 || status === 429 || status >= 500 || /Throttl/.test(code);
  return new HoldfastError('ToolFailed', `${name} refused the alert: ${code}`, {
    hint: retryable ? 'it is tried again' : 'check the topic, and the right sns:Publish on it',
    retryable,
  });
}
