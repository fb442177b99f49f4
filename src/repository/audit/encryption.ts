import type { AuditFinding } from '../../model/audit.ts';
import type { AuditedDatabase, AuditedVersion, AuditFacts } from './facts.ts';
import { finding, more, plural } from './words.ts';

/** Objects of a database without the configured key, or under another one. */
export function tellEncryption({ name, nodes }: AuditedDatabase, kmsKeyId: string | null): AuditFinding[] {
  if (kmsKeyId === null) return [];
  const bare: AuditedVersion[] = [];
  const foreign: AuditedVersion[] = [];
  const isOther = (id: string) => id !== kmsKeyId && !isSameKey(id, kmsKeyId);
  for (const { versions } of nodes) {
    for (const version of versions) {
      if (version.kmsKeyId === undefined) continue;
      if (version.kmsKeyId === null) bare.push(version);
      else if (isOther(version.kmsKeyId)) foreign.push(version);
    }
  }
  const again =
    'the next backup is encrypted as configured; holdfast repository apply makes the bucket see to it';
  return [
    ...bare.slice(0, 1).map(({ key, encrypted }) =>
      finding('warning', 'not-encrypted', {
        database: name,
        what: `${key} is ${encrypted === true ? "encrypted with the store's own key" : 'not encrypted'}, and ${kmsKeyId} is configured${more(bare.length - 1, 'is like it', 'are like it')}`,
        hint: again,
      }),
    ),
    ...foreign.slice(0, 1).map(({ key, kmsKeyId: other }) =>
      finding('warning', 'wrong-key', {
        database: name,
        what: `${key} is encrypted with ${other}, and ${kmsKeyId} is configured${more(foreign.length - 1, 'is like it', 'are like it')}`,
        hint: `keep ${other} for as long as these are needed: without it they cannot be read. ${again}`,
      }),
    ),
  ];
}

/** Keys that cannot be used: nothing that is encrypted with them can be restored. */
export function tellKeys({ keys, databases, kmsKeyId }: AuditFacts): AuditFinding[] {
  return Object.entries(keys).flatMap(([id, state]) => {
    if (state === 'enabled') return [];
    const held = databases.flatMap(({ name, nodes }) => {
      const count = nodes.reduce(
        (sum, node) => sum + node.versions.filter((one) => isUnder(one, id)).length,
        0,
      );
      return count === 0 ? [] : [{ name, count }];
    });
    const is = {
      disabled: 'is disabled',
      'pending-deletion': 'waits for its deletion',
      'not-found': 'does not exist',
    };
    const [first] = held;
    const objects = plural(
      held.reduce((sum, { count }) => sum + count, 0),
      'object',
    );
    const whose = held.length === 1 ? first?.name : plural(held.length, 'database');
    const isOurs = kmsKeyId !== null && isSameKey(id, kmsKeyId);
    const effects = [
      ...(held.length === 0 ? [] : [`${objects} that were looked at of ${whose} cannot be read`]),
      ...(isOurs ? ['no backup can be written'] : []),
    ];
    return [
      finding('critical', 'key-unusable', {
        database: held.length === 1 ? (first?.name ?? null) : null,
        what: `key ${id} ${is[state]}: ${effects.length === 0 ? 'nothing that was looked at is encrypted with it' : effects.join(', and ')}`,
        hint:
          state === 'disabled'
            ? `enable the key (aws kms enable-key --key-id ${id}), and see who disabled it`
            : state === 'pending-deletion'
              ? `cancel the deletion at once (aws kms cancel-key-deletion --key-id ${id}) and enable the key: once it is gone so are the backups`
              : 'see whether the key is in another region or account; repository.kmsKeyId names the one that is used',
      }),
    ];
  });
}

const isUnder = ({ kmsKeyId }: AuditedVersion, id: string): boolean =>
  typeof kmsKeyId === 'string' && isSameKey(kmsKeyId, id);

/** A key is told by its id, or by an ARN that ends with it; what an alias stands for only KMS knows. */
export function isSameKey(one: string, other: string): boolean {
  const isAlias = (id: string) => /(^|:)alias\//.test(id);
  if (isAlias(one) !== isAlias(other)) return true;
  const tail = (id: string) => id.slice(Math.max(id.lastIndexOf('/'), id.lastIndexOf(':')) + 1);
  return tail(one) === tail(other);
}
