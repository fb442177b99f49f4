import { createHmac } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { HoldfastError } from '../../../src/model/failure.ts';
import type { Message } from '../../../src/notify/channel.ts';
import { ping } from '../../../src/notify/post.ts';
import { slack, slackBody } from '../../../src/notify/slack.ts';
import { snsMessage } from '../../../src/notify/sns.ts';
import { signatureOf, webhook } from '../../../src/notify/webhook.ts';
import { startReceiver } from '../../http-receiver.ts';

const MESSAGE: Message = {
  key: 'backup/logical/shop/1/run/failed',
  severity: 'critical',
  database: 'shop',
  title: 'logicalBackup of shop failed',
  text: 'the disk of <db1> is full & more',
  hint: 'free 3 GiB',
  workflowId: 'backup/logical/shop/1',
  at: '2026-01-31T14:05:00.000Z',
  url: 'https://temporal.example/namespaces/default/workflows/backup%2Flogical%2Fshop%2F1',
};
const never = new AbortController().signal;

let receiver: Awaited<ReturnType<typeof startReceiver>> | null = null;
afterEach(async () => {
  await receiver?.end();
  receiver = null;
});

const failureOf = async (sending: Promise<void>): Promise<HoldfastError> => {
  const error = await sending.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  return error as HoldfastError;
};

test('the signature is the HMAC-SHA256 of the timestamp, a dot and the body', () => {
  // By `printf '1769868300.{"a":1}' | openssl dgst -sha256 -hmac key`.
  expect(signatureOf('key', '1769868300', '{"a":1}')).toBe(
    'v1=f8b01e0c5b053ae2d020d2336454cbc1b5639331c155f7feefcb54dd63b01eec',
  );
});

test('a webhook gets the alert as JSON, signed with the time of sending', async () => {
  receiver = await startReceiver();
  await webhook('webhook 1', { url: receiver.url, secret: 'shared' }).send(MESSAGE, never);
  const [request] = receiver.received;
  expect(request?.method).toBe('POST');
  expect(JSON.parse(request?.body ?? '')).toEqual(MESSAGE);
  const timestamp = String(request?.headers['holdfast-timestamp']);
  expect(Math.abs(Date.now() / 1_000 - Number(timestamp))).toBeLessThan(300);
  const hex = createHmac('sha256', 'shared').update(`${timestamp}.${request?.body}`).digest('hex');
  expect(request?.headers['holdfast-signature']).toBe(`v1=${hex}`);
});

test('Slack gets one text with the link, its own characters escaped', async () => {
  receiver = await startReceiver();
  await slack('slack 1', { url: receiver.url }).send(MESSAGE, never);
  expect(JSON.parse(receiver.received[0]?.body ?? '')).toEqual({
    text: [
      ':red_circle: *logicalBackup of shop failed*',
      'the disk of &lt;db1&gt; is full &amp; more',
      'HINT: free 3 GiB',
      'holdfast status backup/logical/shop/1',
      `<${MESSAGE.url}|open the run>`,
    ].join('\n'),
  });
  expect(slackBody({ ...MESSAGE, url: null, workflowId: null, hint: null, text: '' }).text).toBe(
    ':red_circle: *logicalBackup of shop failed*',
  );
});

test('SNS gets a subject that it accepts', () => {
  const { Subject, Message } = snsMessage({ ...MESSAGE, title: `é${'x'.repeat(200)}` });
  expect(Subject).toBe(`?${'x'.repeat(99)}`);
  expect(Message).toContain('HINT: free 3 GiB');
  expect(Message.split('\n').at(-1)).toBe(MESSAGE.url);
});

test.each([
  [500, true],
  [503, true],
  [408, true],
  [429, true],
  [400, false],
  [404, false],
  [302, false],
])('an answer of %i is tried again: %s', async (status, retryable) => {
  receiver = await startReceiver([status]);
  const error = await failureOf(slack('slack 2', { url: receiver.url }).send(MESSAGE, never));
  expect(error).toMatchObject({ message: `slack 2 answered ${status}`, retryable });
  expect(receiver.received).toHaveLength(1);
  expect(`${error.message}${error.hint}${String(error.cause)}`).not.toMatch(/secret-part|not for the log/);
});

test('one that hangs is left when its time is over, or the worker ends', async () => {
  receiver = await startReceiver([null]);
  const hook = webhook('webhook 1', { url: receiver.url, secret: 'x' });
  const ending = new AbortController();
  const sending = hook.send(MESSAGE, ending.signal);
  await expect.poll(() => receiver?.received.length).toBe(1);
  ending.abort(new Error('the worker ends'));
  await expect(sending).rejects.toThrow('the worker ends');
});

test('one that is not there is tried again, and its address is not told', async () => {
  receiver = await startReceiver();
  const { url } = receiver;
  await receiver.end();
  receiver = null;
  const error = await failureOf(slack('slack 1', { url }).send(MESSAGE, never));
  expect(error).toMatchObject({ message: 'slack 1 cannot be reached', retryable: true });
  expect(JSON.stringify(error)).not.toContain('secret-part');
});

test.each(['http://hooks.example/secret-part', 'secret-part', 'ftp://127.0.0.1/secret-part'])(
  'never sends to %s',
  async (url) => {
    const error = await failureOf(slack('slack 1', { url }).send(MESSAGE, never));
    expect(error.type).toBe('InvalidConfiguration');
    expect(`${error.message}${error.hint}`).not.toContain('secret-part');
  },
);

test('a ping is a GET', async () => {
  receiver = await startReceiver([204]);
  await ping("the dead man's switch", receiver.url, never);
  expect(receiver.received).toMatchObject([{ method: 'GET', body: '' }]);
});
