import { HoldfastError } from '../model/failure.ts';
import { countOf } from '../model/plan.ts';
import { desiredSettings } from '../repository/bucket/desired.ts';
import { difference } from '../repository/bucket/difference.ts';
import { readBucketSettings } from '../repository/bucket/read.ts';
import { type Check, type Installation, look } from './check.ts';
import { withRepository } from './repository.ts';

/** Whether the bucket's own settings are those that the configuration wants. */
export const checkBucket: Check<Installation> = async (of) => [
  await look('bucket', () =>
    withRepository(of, 'restore', async ({ connection }) => {
      const desired = desiredSettings(of.loaded.config);
      const is = await readBucketSettings(connection, of.run.signal);
      const { changes, lacking } = difference(is, desired);
      const required = lacking.filter((one) => one.required);
      if (required.length > 0) {
        throw new HoldfastError('NotSupported', required.map(({ what }) => what).join('; '), {
          hint: 'use another store for the repository',
        });
      }
      const [first, ...others] = changes;
      if (first !== undefined) {
        const item = first.item === null ? '' : ` ${first.item}`;
        const more = others.length === 0 ? '' : `; and ${countOf(others.length, 'other setting')}`;
        throw new HoldfastError(
          'InvalidConfiguration',
          `${first.aspect}${item} is ${first.is}, and should be ${first.willBe}${more}`,
          { hint: 'holdfast repository plan shows all; apply changes them' },
        );
      }
      const without =
        lacking.length === 0 ? '' : `; this store has no ${lacking.map(({ aspect }) => aspect).join(', ')}`;
      return `its settings are as the configuration wants them${without}`;
    }),
  ),
];
