import { upsertSearchAttributes } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { parseInput } from '../model/input.ts';
import { control, onHost } from './proxies.ts';
import { failureOf, orEnd } from './runbook/failure.ts';

export interface ReaperResult {
  removed: string[];
  /** hosts that could not be looked at, and why */
  unreached: { host: string; why: string }[];
  /** folders of expired undo data; where they could not be removed, why */
  undo: { removed: string[]; why: string | null };
}

/**
 * Removes instances whose runbook is gone (a terminated one cleans up nothing) or whose time is over, and undo
 * data that has expired.
 */
export async function instanceReaper(given: unknown): Promise<ReaperResult> {
  orEnd(() => parseInput('instanceReaper', given ?? {}));
  upsertSearchAttributes({ [SEARCH_ATTRIBUTES.runbook]: ['instanceReaper'] });
  const { places, ...patience } = await control.listPlaces();
  const result: ReaperResult = { removed: [], unreached: [], undo: { removed: [], why: null } };
  for (const { site, host } of places) {
    try {
      result.removed.push(...(await onHost(host, patience).reapInstances({ site })));
    } catch (error) {
      result.unreached.push({ host, why: failureOf(error).message });
    }
  }
  try {
    result.undo.removed = await control.removeExpiredUndo();
  } catch (error) {
    result.undo.why = failureOf(error).message;
  }
  return result;
}
