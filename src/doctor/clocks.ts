import { HeadBucketCommand } from '@aws-sdk/client-s3';
import { formatDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import { type Check, type Installation, look, lookAtEach } from './check.ts';
import { withRepository } from './repository.ts';

/** A target's time is the database's, a lock's date is S3's, and a schedule is Temporal's: they have to agree. */
const TOLERANCE_MS = 30_000;

/** This machine's clock against S3's and each database's; Temporal's is looked at with the sites. */
export const checkClocks: Check<Installation> = async (of) => [
  await look('clock of S3', () =>
    withRepository(of, 'restore', async ({ connection }) => {
      let date: string | undefined;
      const command = () => {
        const head = new HeadBucketCommand({ Bucket: connection.bucket });
        head.middlewareStack.add(
          (next) => async (args) => {
            const result = await next(args);
            date = (result.response as { headers?: Record<string, string> }).headers?.date;
            return result;
          },
          // Before the answer is parsed: what it parses to has no headers.
          { step: 'deserialize', priority: 'low' },
        );
        return head;
      };
      const asked = Date.now();
      await connection.request((s3, options) => s3.send(command(), options), of.run.signal);
      if (date === undefined) return 'it tells no time';
      // In whole seconds, cut off.
      return agreed(Date.parse(date) + 500, { from: asked, to: Date.now() });
    }),
  ),
  ...(await lookAtEach(
    of.databases,
    ({ name }) => `clock of ${name}`,
    async (database) => {
      // Its own connection may have been made a while ago: it said its time then.
      const { at, askedAt, answeredAt } = await of.examined(database);
      return agreed(Date.parse(at), { from: askedAt, to: answeredAt });
    },
  )),
];

/** Throws CheckFailed where a clock that was read in this span is off by more than is tolerated. */
export function agreed(at: number, { from, to }: { from: number; to: number }): string {
  const off = at < from ? from - at : Math.max(0, at - to);
  if (off <= TOLERANCE_MS)
    return `agrees with this machine's, within ${formatDuration(Math.max(1_000, off))}`;
  const what = at < from ? 'behind' : 'ahead of';
  throw new HoldfastError('CheckFailed', `is ${formatDuration(off)} ${what} this machine's`, {
    hint: 'let both machines follow a time server: targets, locks and schedules are times of different clocks',
  });
}
