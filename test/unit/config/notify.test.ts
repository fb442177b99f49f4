import { expect, test } from 'vitest';
import { channelsOf, describeChannels } from '../../../src/config/channels.ts';
import { noticesOf } from '../../../src/config/checks.ts';
import { exampleConfig } from './example.ts';

const notify = (channels: string) => exampleConfig({ top: `notify: {channels: [${channels}]}\n` });
const SNS = 'topicArn: "arn:aws:sns:eu-west-1:1:holdfast", region: eu-west-1';

test('channels have names and places, and no secrets', () => {
  const config = notify(
    `{slack: {url: {env: SLACK}}}, {webhook: {url: {file: hook}, secret: {env: X}}}, {sns: {${SNS}}}`,
  );
  expect([...channelsOf(config).keys()]).toEqual(['slack 1', 'webhook 2', 'sns 3']);
  expect(describeChannels(config)).toEqual([
    'slack 1 (in the variable SLACK)',
    'webhook 2 (in the file hook)',
    'sns 3 (arn:aws:sns:eu-west-1:1:holdfast)',
  ]);
  expect(noticesOf(config).join('\n')).not.toContain('notify.channels');
});

test('that nobody is told is said', () => {
  expect(noticesOf(exampleConfig()).join('\n')).toContain('notify.channels is empty');
});

test.each([
  ['{slack: {url: "https://hooks.slack.com/x"}}', /must be \{slack: \{url\}\}, [^x]*$/],
  ['{webhook: {url: {env: A}}}', /secret/],
  ['{mail: {to: ann}}', /must be \{slack/],
  [`{sns: {${SNS}, endpoint: "http://sns.example"}}`, /must be an https URL: http is for loopback only/],
  ['{sns: {topicArn: holdfast, region: eu}}', /must be the ARN/],
])('refuses %s', (channel, message) => {
  expect(() => notify(channel)).toThrow(message);
});

test('http to what stands for AWS on this machine is fine', () => {
  expect(channelsOf(notify(`{sns: {${SNS}, endpoint: "http://127.0.0.1:5000"}}`)).size).toBe(1);
});
