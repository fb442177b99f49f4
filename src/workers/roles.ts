import type { Config } from '../config/schema.ts';
import { HoldfastError } from '../model/failure.ts';

/** What a worker process does: workflows and light work, one host's files, or one site's disks. */
export type Role = { kind: 'control' } | { kind: 'host'; name: string } | { kind: 'site'; name: string };

/** Every role of a configuration: the embedded default, one process for all. */
export function allRoles(config: Config): Role[] {
  return [
    { kind: 'control' },
    ...Object.keys(config.hosts).map((name): Role => ({ kind: 'host', name })),
    ...Object.keys(config.sites).map((name): Role => ({ kind: 'site', name })),
  ];
}

/** Reads `control,host:db1,site:frankfurt`. Throws InvalidInput with what the configuration has. */
export function parseRoles(text: string, config: Config): Role[] {
  return text.split(',').map((part): Role => {
    const [kind, name] = part.trim().split(':');
    if (kind === 'control' && name === undefined) return { kind };
    if (kind === 'host' && name !== undefined && name in config.hosts) return { kind, name };
    if (kind === 'site' && name !== undefined && name in config.sites) return { kind, name };
    throw new HoldfastError('InvalidInput', `"${part.trim()}" is not a role of this configuration`, {
      hint: `the roles are ${allRoles(config).map(formatRole).join(', ')}`,
    });
  });
}

export function formatRole(role: Role): string {
  return role.kind === 'control' ? 'control' : `${role.kind}:${role.name}`;
}
