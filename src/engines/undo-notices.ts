import { dirname } from 'node:path/posix';
import { countOf, type UndoRule } from '../model/plan.ts';

/** What people are told before they approve an undo. */

/** Of a table that the import made, and that is there. `dependents`: by name. */
export function dropNotice(
  created: string | null,
  { drop, isChanged, dependents }: { drop: boolean; isChanged: boolean; dependents: readonly string[] },
): string {
  if (drop) {
    const lost = isChanged ? ', and what others have changed in it since is lost' : '';
    return `${created}, which the import made, is dropped; that cannot be taken back${lost}`;
  }
  const why =
    dependents.length > 0
      ? `${dependents.slice(0, 5).join(', ')} depends on it`
      : 'it has been changed since';
  return `${created}, which the import made, stays: ${why}`;
}

export const goneNotice = (created: string | null): string =>
  `${created}, which the import made, is gone already`;

/** What a rule does to so many rows that others have changed. */
export function changedNotices(table: string, changed: number, rule: UndoRule): string[] {
  if (changed === 0) return [];
  const rows = countOf(changed, 'row');
  return [
    rule === 'keep-changed'
      ? `${table}: ${rows} that others have changed or deleted since stay as they are`
      : `${table}: what others have changed since in ${rows} is lost`,
  ];
}

/** Of a table without a key. */
export function unknownNotices(table: string, unknown: number): string[] {
  if (unknown === 0) return [];
  return [
    `${table} has no key: ${countOf(unknown, 'row')} that the import inserted and others have changed or deleted since cannot be told from others, and stay`,
  ];
}

/** Where their keys are: part of what people approve, and so the same whenever the same is planned. */
export function keysNotice(
  table: string,
  changed: number,
  { folder, file }: { folder: string; file: string },
): string {
  return `${table}: others have changed or deleted ${countOf(changed, 'row')} of the import since; their keys are in the newest folder of ${dirname(folder)}/ in the repository, as ${file}`;
}
