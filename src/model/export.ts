import { HoldfastError } from './failure.ts';
import type { ConflictRule } from './plan.ts';

/** Where the rows of an export go, and as what. */
export interface ExportOrder {
  format: 'csv' | 'dump';
  /** the repository, or an absolute path on the site's host */
  place: 'repository' | { path: string };
}

/** Reads `csv:repository`, `dump:/a/path`: what the input's schema has let through. */
export function parseExport(text: string): ExportOrder {
  const colon = text.indexOf(':');
  const place = text.slice(colon + 1);
  return {
    format: text.slice(0, colon) === 'dump' ? 'dump' : 'csv',
    place: place === 'repository' ? 'repository' : { path: place },
  };
}

/** Throws InvalidInput for an export that has no meaning, so that nobody waits for a restore to learn it. */
export function refuseExport(input: {
  export?: string | undefined;
  tables?: string[] | undefined;
  conflict?: ConflictRule | undefined;
}): void {
  if (input.export === undefined) return;
  const { format, place } = parseExport(input.export);
  if (input.tables === undefined) {
    throw new HoldfastError('InvalidInput', 'an export needs tables', {
      hint: 'name the tables to export; without any, leave export out and look at the instance itself',
    });
  }
  if (format === 'dump' && input.conflict !== undefined) {
    throw new HoldfastError('InvalidInput', 'a dump has whole tables: conflict has no meaning for it', {
      hint: 'leave conflict out, or export csv: it can have only the rows that a rule would bring back',
    });
  }
  if (input.conflict === 'side-by-side') {
    throw new HoldfastError(
      'InvalidInput',
      'side-by-side brings whole tables back: an export of them needs no rule',
      {
        hint: 'leave conflict out for whole tables',
      },
    );
  }
  if (place !== 'repository' && /(^|\/)\.\.?(\/|$)|\0/.test(place.path)) {
    throw new HoldfastError('InvalidInput', 'the path of an export must not have . or .. in it', {
      hint: 'write the path as it is, from the root',
    });
  }
}
