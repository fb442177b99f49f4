import type { RepositoryConfig } from '../../config/schema.ts';
import type { AuditFinding } from '../../model/audit.ts';
import { credentialsFor } from '../client.ts';
import type { Repository } from '../repository.ts';
import type { AuditedVersion, AuditFacts } from './facts.ts';
import { describeKey, hasKms, keyName, tryKey } from './keys.ts';
import { unlooked } from './unlooked.ts';

export interface KeyStates {
  /** the key of the configuration by its own name, an alias resolved; null: none is set */
  configured: string | null;
  states: AuditFacts['keys'];
  findings: AuditFinding[];
}

/**
 * What becomes of each key that was found, and of the configured one: as KMS says; where there is none, or it does not say,
 * by reading what the key has closed.
 */
export async function readKeys(
  repository: Repository,
  of: {
    config: RepositoryConfig;
    directory: string;
    /** with their keys; where a version was not asked, its key is taken for the configured one */
    closed: readonly AuditedVersion[];
    signal: AbortSignal;
  },
): Promise<KeyStates> {
  const { config, directory, signal } = of;
  const credentials = await credentialsFor(config, { use: 'restore', baseDirectory: directory });
  const describe = async (key: string) =>
    hasKms(config) ? describeKey(key, { region: config.region, credentials, signal }) : null;

  const own = config.kmsKeyId === undefined ? null : await describe(config.kmsKeyId);
  const configured = own?.name ?? (config.kmsKeyId === undefined ? null : keyName(config.kmsKeyId));
  const states: KeyStates['states'] = {};
  if (own !== null) states[own.name] = own.state;
  const findings: AuditFinding[] = [];
  const names = new Set(of.closed.flatMap(({ kmsKeyId }) => kmsKeyId ?? []));
  if (configured !== null) names.add(configured);
  for (const name of names) {
    if (states[name] !== undefined) continue;
    const said = await describe(name);
    if (said !== null) {
      states[name] = said.state;
      continue;
    }
    const closed = of.closed.filter(
      ({ kmsKeyId }) => kmsKeyId === name || (kmsKeyId === undefined && name === configured),
    );
    const tried = await tryKey(repository, closed, signal);
    if (tried !== 'unknown') states[name] = tried;
    else if (closed.length > 0) findings.push(unlooked.key(name));
  }
  return { configured, states, findings };
}
