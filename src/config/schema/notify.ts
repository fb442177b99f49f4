import { z } from 'zod';
import { durationSchema } from '../../model/duration.ts';
import { secretReferenceSchema } from './primitives.ts';

const channelSchema = z.union(
  [
    /** a Slack-compatible incoming webhook: its address is the secret */
    z.strictObject({ slack: z.strictObject({ url: secretReferenceSchema }) }),
    z.strictObject({
      webhook: z.strictObject({ url: secretReferenceSchema, secret: secretReferenceSchema }),
    }),
    z.strictObject({
      sns: z.strictObject({
        topicArn: z.string().regex(/^arn:[\w-]+:sns:/, 'must be the ARN of an SNS topic'),
        region: z.string().min(1),
        /** left out: AWS itself */
        endpoint: z.url({ protocol: /^https?$/ }).optional(),
      }),
    }),
  ],
  { error: 'must be {slack: {url}}, {webhook: {url, secret}} or {sns: {topicArn, region}}' },
);
export type ChannelConfig = z.infer<typeof channelSchema>;

/** Who hears of failures, of decisions that wait, and of what should have run and did not. */
export const notifySchema = z.strictObject({
  channels: z.array(channelSchema).default([]),
  /** people are reminded this long before a decision expires */
  expiresBefore: durationSchema.default('1h'),
  /** an address that the watchdog calls whenever it has run: who hears nothing from it knows that nobody watches */
  deadManSwitch: secretReferenceSchema.optional(),
});
