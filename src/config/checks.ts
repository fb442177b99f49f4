import { isAbsolute } from 'node:path';
import { parseDuration } from '../model/duration.ts';
import { nearestNames } from '../model/nearest.ts';
import { isLocal } from './access.ts';
import { approvalOf, disasterApprovalOf, protectionOf, stanzaOf } from './describe.ts';
import type { ConfigIssue } from './issue.ts';
import type { Config, DatabaseConfig } from './schema.ts';
import { checkTakeovers } from './takeover-checks.ts';

/** A lock in compliance mode cannot be taken back by anyone: a longer one is taken for a slip of the pen. */
const LONGEST_LOCK_MS = parseDuration('10y');

/** What a schema cannot see: names that have to exist, and settings that contradict each other. */
export function checkConfig(config: Config): ConfigIssue[] {
  return [
    ...checkSites(config),
    ...checkApproval(config.approval.import, ['approval', 'import']),
    ...checkDisasterApproval(config),
    ...checkNotify(config),
    ...Object.entries(config.databases).flatMap(([name, database]) => checkDatabase(config, name, database)),
    ...checkDistinct(config),
    ...checkTakeovers(config),
  ];
}

/** What is allowed but should be known; for `config check`. */
export function noticesOf(config: Config): string[] {
  const { repository } = config;
  const notices: string[] = [];
  if (repository.lock === undefined) {
    notices.push('repository.lock is not set: whoever holds the credentials can delete backups');
  }
  if (repository.kmsKeyId === undefined) {
    notices.push("repository.kmsKeyId is not set: objects are encrypted with the store's own key at best");
  }
  if (repository.restoreCredentials === undefined) {
    notices.push('repository.restoreCredentials are not set: instances use credentials that can write');
  }
  if (repository.allowSameRegion !== undefined) {
    notices.push(`databases may lie in the region of their backups: ${repository.allowSameRegion}`);
  }
  if (Object.keys(config.sites).length === 0) notices.push('there is no site: nothing can be restored');
  if (config.notify.channels.length === 0) {
    notices.push('notify.channels is empty: nobody is told when a backup fails or a decision waits');
  }
  const unknown = Object.entries(config.databases).filter(([, database]) => database.region === undefined);
  if (unknown.length > 0) {
    const names = unknown.slice(0, 5).map(([name]) => name);
    const more = unknown.length > 5 ? ` and ${unknown.length - 5} more` : '';
    notices.push(
      `region is not set for ${names.join(', ')}${more}: whether the backups lie elsewhere is not known`,
    );
  }
  return [...notices, ...takeoverNotices(config)];
}

function takeoverNotices({ databases }: Config): string[] {
  return Object.entries(databases).flatMap(([name, { takeover, endpoints }]) =>
    Object.keys(takeover).length > 0 && endpoints.length === 0
      ? [`endpoints are not set for ${name}: after a disaster recovery its clients are switched by hand`]
      : [],
  );
}

function checkSites(config: Config): ConfigIssue[] {
  return Object.entries(config.sites).flatMap(([site, { hosts }]) =>
    hosts.flatMap((host, index) => checkHost(config, host, ['sites', site, 'hosts', index])),
  );
}

function checkHost(config: Config, host: string, path: ConfigIssue['path']): ConfigIssue[] {
  const hosts = Object.keys(config.hosts);
  if (hosts.includes(host)) return [];
  const nearest = nearestNames(host, hosts, 1)[0];
  const known = hosts.length === 0 ? 'there are none yet: add it there' : `they are ${hosts.join(', ')}`;
  return [
    {
      path,
      message: `${host} is not among hosts`,
      hint: nearest === undefined ? known : `do you mean ${nearest}? ${known}`,
    },
  ];
}

function checkApproval(
  policy: { people: number; approvers: readonly string[] },
  path: ConfigIssue['path'],
): ConfigIssue[] {
  const approvers = new Set(policy.approvers);
  if (approvers.size === 0 || policy.people <= approvers.size) return [];
  const message = `${policy.people} different people have to approve, but only ${approvers.size} may`;
  return [{ path, message, hint: 'name more approvers, or ask for fewer people' }];
}

function checkDisasterApproval({ approval: { disaster } }: Config): ConfigIssue[] {
  return disaster === 'none' ? [] : checkApproval(disaster, ['approval', 'disaster']);
}

/** What goes over a network is encrypted; addresses that are secrets are looked at where they are used. */
function checkNotify({ notify }: Config): ConfigIssue[] {
  return notify.channels.flatMap((channel, index): ConfigIssue[] => {
    if (!('sns' in channel) || channel.sns.endpoint === undefined) return [];
    const { protocol, hostname } = new URL(channel.sns.endpoint);
    if (protocol === 'https:' || isLocal(hostname)) return [];
    const path = ['notify', 'channels', index, 'sns', 'endpoint'];
    return [{ path, message: 'must be an https URL: http is for loopback only' }];
  });
}

function checkDatabase(config: Config, name: string, database: DatabaseConfig): ConfigIssue[] {
  const at = (...path: (string | number)[]) => ['databases', name, ...path];
  const issues: ConfigIssue[] = checkHost(config, database.host, at('host'));
  issues.push(...checkEngine(database, at));
  if (database.connection.tls === 'off' && !isLocal(database.connection.host)) {
    const message = `off is for loopback and sockets only, ${database.connection.host} is neither`;
    const hint = "remove it, and name the server's authority in tls.caFile where it is a private one";
    issues.push({ path: at('connection', 'tls'), message, hint });
  }
  if (database.region === config.repository.region && config.repository.allowSameRegion === undefined) {
    const message = `${database.region} is the region of the repository: both would be lost at once`;
    const hint =
      'use a bucket in another region, or give the reason why not in repository.allowSameRegion: "<reason>"';
    issues.push({ path: at('region'), message, hint });
  }
  if (database.approval !== undefined) {
    const merged = [approvalOf(config, database), disasterApprovalOf(config, database)];
    const wrong = merged.flatMap((policy) => checkApproval(policy, at('approval')));
    issues.push(...wrong.slice(0, 1));
  }
  issues.push(...checkLock(config, database, at));
  const { refusals } = protectionOf(name, database);
  issues.push(...refusals.map(({ path, message, hint }) => ({ path: at(...path), message, hint })));
  return issues;
}

type At = (...path: (string | number)[]) => ConfigIssue['path'];

function checkEngine(database: DatabaseConfig, at: At): ConfigIssue[] {
  switch (database.engine) {
    case 'postgres':
      return checkPostgres(database, at);
    case 'mysql':
      return checkMysql(database, at);
    case 'mongodb': {
      const hint = 'postgres and mysql are; remove this database until then';
      return [
        {
          type: 'NotSupported',
          path: at('engine'),
          message: `${database.engine} is not supported yet`,
          hint,
        },
      ];
    }
  }
}

/** MySQL and MariaDB: their bases are logical backups. */
function checkMysql({ postgres, mysql, tiers, takeover }: DatabaseConfig, at: At): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  if (postgres !== undefined) {
    issues.push({ path: at('postgres'), message: 'is of PostgreSQL, and the engine is mysql' });
  }
  if (mysql?.logDirectory !== undefined && !isAbsolute(mysql.logDirectory)) {
    const message = "must be an absolute path: it is meant on the database's host";
    issues.push({ path: at('mysql', 'logDirectory'), message });
  }
  const missing = (path: ConfigIssue['path'], message: string, hint: string) =>
    issues.push({ type: 'NotSupported', path, message, hint });
  if (tiers.physical !== undefined && tiers.physical !== 'off') {
    const hint = 'remove it: recoveries begin in logical backups, tiers.logical says how often';
    missing(at('tiers', 'physical'), 'there are no physical backups of mysql yet', hint);
  }
  if (Object.keys(takeover).length > 0) {
    const hint = 'remove it; holdfast restore pitr hands a restored server over';
    missing(at('takeover'), 'a disaster recovery of mysql is not supported yet', hint);
  }
  return issues;
}

function checkPostgres(database: DatabaseConfig, at: At): ConfigIssue[] {
  if (database.mysql !== undefined) {
    return [{ path: at('mysql'), message: 'is of MySQL and MariaDB, and the engine is postgres' }];
  }
  if (database.postgres === undefined) {
    const hint = 'add postgres: {dataDirectory: /var/lib/postgresql/15/main}';
    return [{ path: at('postgres'), message: 'is missing: engine postgres needs it', hint }];
  }
  const { dataDirectory, socketDirectory } = database.postgres;
  const relative = Object.entries({ dataDirectory, socketDirectory }).filter(
    ([, path]) => path !== undefined && !isAbsolute(path),
  );
  return relative.map(([field]) => ({
    path: at('postgres', field),
    message: "must be an absolute path: it is meant on the database's host",
  }));
}

function checkLock({ repository }: Config, { retention }: DatabaseConfig, at: At): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const [tier, kept] of Object.entries(retention)) {
    if (parseDuration(kept) === 0) {
      issues.push({ path: at('retention', tier), message: 'must be more than nothing' });
    } else if (
      tier !== 'undo' &&
      repository.lock?.mode === 'COMPLIANCE' &&
      parseDuration(kept) > LONGEST_LOCK_MS
    ) {
      const message = `${kept} under a COMPLIANCE lock cannot be undone by anyone, at most 10y is accepted`;
      issues.push({ path: at('retention', tier), message, hint: 'shorten it, or use the mode GOVERNANCE' });
    }
  }
  return issues;
}

/** Two databases in one stanza or one data directory would overwrite each other's backups. */
function checkDistinct(config: Config): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const seen = new Map<string, string>();
  for (const [name, database] of Object.entries(config.databases)) {
    if (database.postgres === undefined) continue;
    const stanza = stanzaOf(name, database);
    const claims: [key: string, field: string, what: string][] = [
      [`stanza ${stanza}`, 'stanza', `the stanza ${stanza}`],
      [`files ${database.host}:${database.postgres.dataDirectory}`, 'dataDirectory', 'this data directory'],
    ];
    for (const [key, field, what] of claims) {
      const other = seen.get(key);
      seen.set(key, other ?? name);
      if (other === undefined) continue;
      const message = `${what} belongs to ${other} already`;
      issues.push({
        path: ['databases', name, 'postgres', field],
        message,
        hint: 'each database needs its own',
      });
    }
  }
  return issues;
}
