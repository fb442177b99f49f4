import { resolveAccess } from '../config/access.ts';
import type { DatabaseView } from '../config/describe.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Examination, Installation } from './check.ts';

/** Asks a production server about itself. */
export async function examine(
  { loaded, engines, run }: Pick<Installation, 'loaded' | 'engines' | 'run'>,
  { config, tiers }: DatabaseView,
): Promise<Examination> {
  const engine = engines[config.engine];
  if (engine === undefined)
    throw new HoldfastError('NotSupported', `there is no engine for ${config.engine}`);
  const access = await resolveAccess(config, loaded.directory);
  const wants = {
    maxAgeMs: tiers.log?.maxAgeMs ?? null,
    physical: tiers.physical !== null,
    logDirectory: config.mysql?.logDirectory ?? null,
  };
  const askedAt = Date.now();
  const examination = await engine.examine({ access, ...wants }, run);
  return { ...examination, askedAt, answeredAt: Date.now() };
}
