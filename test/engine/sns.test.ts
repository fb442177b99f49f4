import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HoldfastError } from '../../src/model/failure.ts';
import type { Message } from '../../src/notify/channel.ts';
import { sns } from '../../src/notify/sns.ts';
import { startReceiver } from '../http-receiver.ts';
import { type Moto, startMoto } from '../moto.ts';

let moto: Moto;
let subscriber: Awaited<ReturnType<typeof startReceiver>>;
let topicArn: string;
beforeAll(async () => {
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'moto', AWS_SECRET_ACCESS_KEY: 'moto' });
  subscriber = await startReceiver();
  moto = await startMoto();
  const client = new SNSClient({ region: 'eu-west-1', endpoint: moto.endpoint });
  topicArn = (await client.send(new CreateTopicCommand({ Name: 'alerts' }))).TopicArn as string;
  await client.send(new SubscribeCommand({ TopicArn: topicArn, Protocol: 'http', Endpoint: subscriber.url }));
  client.destroy();
});
afterAll(async () => {
  await moto?.end();
  await subscriber?.end();
});

const MESSAGE: Message = {
  ...{ key: 'k', severity: 'critical', database: 'shop', title: 'logicalBackup of shop failed' },
  ...{ text: 'the disk is full', hint: 'free 3 GiB', workflowId: null, at: '2026-01-31T14:05:00Z' },
  url: 'https://temporal.example/run',
};
const never = new AbortController().signal;
const channel = (arn: string) =>
  sns('sns 1', { topicArn: arn, region: 'eu-west-1', endpoint: moto.endpoint });

const refusal = async (sending: Promise<void>) => {
  const error = await sending.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(HoldfastError);
  return error as HoldfastError;
};

test('an alert reaches the subscribers of the topic', async () => {
  await channel(topicArn).send(MESSAGE, never);
  const received = () => subscriber.received.map(({ body }) => JSON.parse(body));
  await expect.poll(received).toContainEqual(
    expect.objectContaining({
      Type: 'Notification',
      Subject: 'logicalBackup of shop failed',
      Message: [
        'logicalBackup of shop failed',
        'the disk is full',
        'HINT: free 3 GiB',
        'https://temporal.example/run',
      ].join('\n'),
    }),
  );
});

test('a topic that does not exist is no matter of time, a server that is gone is', async () => {
  expect(await refusal(channel(`${topicArn}-of-another`).send(MESSAGE, never))).toMatchObject({
    type: 'ToolFailed',
    retryable: false,
    message: expect.stringMatching(/^sns 1 refused the alert: NotFound/),
  });
  await moto.end();
  expect(await refusal(channel(topicArn).send(MESSAGE, never))).toMatchObject({ retryable: true });
});
