import { z } from 'zod';
import { durationSchema } from '../../model/duration.ts';

/** How many different people have to approve; 0: this policy itself approves, in writing. */
const people = z.number().int().min(0).max(10);
const approvers = z.array(z.string().min(1));
export const approvalSchema = z.strictObject({
  people: people.default(1),
  requesterMayApprove: z.boolean().default(false),
  /** empty: anyone */
  approvers: approvers.default([]),
  timeLimit: durationSchema.default('24h'),
});
/** What a database sets differently: without defaults, which zod would apply in a partial schema too. */
export const approvalOverrideSchema = z.strictObject({
  people: people.optional(),
  requesterMayApprove: z.boolean().optional(),
  approvers: approvers.optional(),
  timeLimit: durationSchema.optional(),
});
