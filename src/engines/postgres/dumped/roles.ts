import { quoteIdentifier } from '../identifier.ts';

/**
 * The statements of a backup's globals that make its roles, without passwords, rights and settings: owners and
 * grants of the copy need their names, and nobody logs in by them. `pg_dumpall` writes each on a line of its own.
 */
export function rolesOf(globals: string, superuser: string): string {
  const own = [`CREATE ROLE ${superuser};`, `CREATE ROLE ${quoteIdentifier(superuser)};`];
  return globals
    .split('\n')
    .filter((line) => /^CREATE ROLE .*;$/.test(line) && !own.includes(line))
    .map((line) => `${line}\n`)
    .join('');
}
