import type { RepositoryConfig } from '../../config/schema.ts';
import type { Manifest, StoredObject } from '../../model/backup.ts';
import { shellQuote } from './shell.ts';

/** Lines that fetch every object of a logical backup, each in the version that belongs to it, and check it. */
export function fetchLines({ globals, databases }: Manifest, repository: RepositoryConfig): string[] {
  const objects = databases.flatMap((database) => database.objects);
  return (globals === null ? objects : [globals, ...objects]).flatMap((object) => {
    const version = object.versionId === null ? '' : ` --version-id ${shellQuote(object.versionId)}`;
    const key = shellQuote(`${repository.prefix}${object.key}`);
    return [
      `aws s3api get-object --bucket ${shellQuote(repository.bucket)} --key ${key}${version} ${fileOf(object)} > /dev/null`,
      `echo ${shellQuote(`${object.sha256}  ${fileName(object)}`)} | sha256sum --check --quiet`,
    ];
  });
}

export const fileName = (object: StoredObject): string => object.key.split('/').at(-1) as string;

/** A fetched object's file, as a word of a command: a name may begin with a dash. */
export const fileOf = (object: StoredObject): string => shellQuote(`./${fileName(object)}`);
