import { Option } from 'commander';
import { CONFLICT_RULES } from '../model/plan.ts';

/** What every restore of tables may be asked. */
export const RESTORE_OPTIONS: readonly Option[] = [
  new Option(
    '--conflict <rule>',
    'what happens to rows that exist; the plan shows every rule, and the approval may name another (default: insert-missing)',
  ).choices(CONFLICT_RULES),
  new Option(
    '--export <format:place>',
    "to files instead of into production: csv or dump, into repository or a folder of the site's host, such as csv:repository or dump:/srv/export",
  ),
  new Option('--site <site>', 'where the instance is made (default: the first site)'),
];

/** For an option that may be repeated. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value];
