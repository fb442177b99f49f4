import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { SecretReference } from '../config/schema/primitives.ts';
import { readSecret } from '../config/secrets.ts';
import { formatDuration, parseDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import { type Check, type Installation, lookAtEach } from './check.ts';
import { secretsIn } from './secrets.ts';

const run = promisify(execFile);
const READABLE_BY_OTHERS = 0o077;

/** Every secret: it is there, only its owner can read it, and it is not too old; `secrets` of the configuration says what is allowed. */
export const checkCredentials: Check<Installation> = ({ loaded }) => {
  const { repository, notify, databases, secrets } = loaded.config;
  return lookAtEach(
    secretsIn({ repository, notify, databases }),
    ({ path }) => `secret ${path}`,
    async ({ path, reference }) => {
      if (isForAdmins(path) && !(await isHere(reference, loaded.directory))) {
        return 'is not on this machine: only `holdfast repository` needs it';
      }
      await readSecret(reference, loaded.directory);
      const place = 'env' in reference ? 'env' : 'file';
      if (!secrets.places.includes(place)) {
        throw new HoldfastError(
          'InvalidConfiguration',
          `it is in ${place}, and secrets.places allows ${secrets.places.join(', ')}`,
          {
            hint: `move it, and correct ${path}`,
          },
        );
      }
      if ('env' in reference) return `in the variable ${reference.env}: its age cannot be known`;
      const file = resolve(loaded.directory, reference.file);
      const { mode, mtimeMs } = await stat(file);
      if ((mode & READABLE_BY_OTHERS) !== 0) {
        throw new HoldfastError(
          'InvalidConfiguration',
          `${file} can be read by others (mode ${(mode & 0o777).toString(8)})`,
          {
            hint: `chmod 600 ${file}`,
          },
        );
      }
      const tree = await workTreeAbove(dirname(file));
      if (tree !== null && !(await isIgnored(tree, file))) {
        throw new HoldfastError(
          'InvalidConfiguration',
          `${file} lies in the git tree ${tree}: it is committed one day`,
          {
            hint: 'keep secrets outside of it',
          },
        );
      }
      return `in the file ${file}, ${ageOf(mtimeMs, secrets.rotateAfter, file)}`;
    },
  );
};

/** Workers never read these, and had better not have them. */
const isForAdmins = (path: string): boolean => path.startsWith('repository.adminCredentials.');

const isHere = (reference: SecretReference, directory: string): Promise<boolean> =>
  'env' in reference
    ? Promise.resolve(process.env[reference.env] !== undefined)
    : stat(resolve(directory, reference.file)).then(
        () => true,
        () => false,
      );

function ageOf(writtenMs: number, rotateAfter: string | undefined, file: string): string {
  const age = Math.max(1_000, Date.now() - writtenMs);
  const text = `written ${formatDuration(age)} ago`;
  if (rotateAfter === undefined || age <= parseDuration(rotateAfter)) return text;
  throw new HoldfastError(
    'InvalidConfiguration',
    `${file} was ${text}, and secrets.rotateAfter is ${rotateAfter}`,
    {
      hint: 'renew the secret where it is from, and write the file anew',
    },
  );
}

/** Where git cannot be asked, a file counts as one that it would take. */
function isIgnored(tree: string, file: string): Promise<boolean> {
  return run('git', ['-C', tree, 'check-ignore', '--quiet', file]).then(
    () => true,
    () => false,
  );
}

/** The nearest folder above that git looks after; null where there is none. */
async function workTreeAbove(folder: string): Promise<string | null> {
  const found = await stat(join(folder, '.git')).catch(() => null);
  if (found !== null) return folder;
  const parent = dirname(folder);
  return parent === folder ? null : workTreeAbove(parent);
}
