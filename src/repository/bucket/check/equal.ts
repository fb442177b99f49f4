import type { Config } from '../../../config/schema.ts';
import { HoldfastError } from '../../../model/failure.ts';
import type { Finding } from '../../../model/finding.ts';
import { countOf } from '../../../model/plan.ts';
import type { Repository } from '../../repository.ts';
import { desiredSettings } from '../desired.ts';
import { difference } from '../difference.ts';
import { readBucketSettings } from '../read.ts';
import { mustWork } from './attempt.ts';

/** Whether the bucket's settings are those that the configuration wants. */
export function settingsAreRight(admin: Repository, config: Config, signal: AbortSignal): Promise<Finding> {
  return mustWork('settings', async () => {
    const desired = desiredSettings(config);
    const found = difference(await readBucketSettings(admin.connection, signal), desired);
    const missing = found.lacking.filter(({ required }) => required).map(({ what }) => what);
    const wrong = found.changes.map(
      ({ aspect, item, is, willBe }) => `${item ?? aspect} is ${is}, not ${willBe}`,
    );
    if (missing.length + wrong.length > 0) {
      throw new HoldfastError('InvalidConfiguration', [...missing, ...wrong].join('; '), {
        hint: 'see holdfast repository plan, then holdfast repository apply',
      });
    }
    const lacking = found.lacking.map(({ aspect }) => aspect);
    const but = lacking.length === 0 ? '' : `; this store has no ${lacking.join(', ')}`;
    return `as the configuration wants them, with ${countOf(desired.rules.length, 'lifecycle rule')}${but}`;
  });
}
