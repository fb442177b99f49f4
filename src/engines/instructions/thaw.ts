import type { RepositoryConfig } from '../../config/schema.ts';
import type { SnapshotPlace } from '../contract/backup.ts';
import { accessLines, block, shellQuote } from './shell.ts';

/** What comes before everything else where a snapshot lies in an archive class: it cannot be read as it is. */
export function thawSection(snapshot: SnapshotPlace | undefined, repository: RepositoryConfig): string {
  if (snapshot === undefined || snapshot.storageClass === null) return '';
  const { folder, storageClass } = snapshot;
  const bucket = `--bucket ${shellQuote(repository.bucket)}`;
  const prefix = shellQuote(`${repository.prefix}${folder}`);
  return `
## 0. Thaw it

Its large objects are in ${storageClass}: ask for them, and come back in half a day (with \`Tier=Bulk\`, which is cheaper, in two).

${block(
  [
    ...accessLines(repository),
    'export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY',
    `aws s3api list-objects-v2 ${bucket} --prefix ${prefix} --query "Contents[?StorageClass=='${storageClass}'].[Key]" --output text > archived`,
    'while IFS= read -r key; do',
    `  aws s3api restore-object ${bucket} --key "$key" --restore-request 'Days=14,GlacierJobParameters={Tier=Standard}'`,
    'done < archived',
  ],
  'sh-thaw',
)}

They are back when none of them says \`ongoing-request="true"\` any more, and stay readable for 14 days:

${block(
  [
    `while IFS= read -r key; do aws s3api head-object ${bucket} --key "$key" --query Restore --output text; done < archived | sort | uniq -c`,
  ],
  'sh-thaw',
)}
`;
}
