import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { userIds } from '../../src/engines/process.ts';
import { RESTORE_USER, type Recovery } from './postgres-recovery-fixture.ts';

/** Runs a program as the user of restores, with nothing in its environment but these. */
export function asUser(command: string[], env: Record<string, string> = {}): string {
  const user = [`--reuid=${RESTORE_USER}`, `--regid=${RESTORE_USER}`, '--clear-groups'];
  return execFileSync('setpriv', [...user, ...command], {
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...env },
  });
}

/** What follows the RESTORE.md of physical backups, and takes down what came of it. */
export class ByHand {
  readonly #recovery: Recovery;
  readonly #programs: { psql: string; pgCtl: string };
  readonly #started: string[] = [];

  constructor(recovery: Recovery, programs: { psql: string; pgCtl: string }) {
    this.#recovery = recovery;
    this.#programs = programs;
  }

  /** Runs the document's blocks in one shell, into a directory of that user's; gives the directory. */
  async follow(name: string, blocks: string[], env: Record<string, string> = {}): Promise<string> {
    const { directory, readOnly } = this.#recovery;
    const home = join(directory, name);
    await mkdir(home);
    await chmod(home, 0o755);
    const script = join(home, 'restore.sh');
    await writeFile(script, blocks.join('\n'));
    const restored = join(home, 'restored');
    await mkdir(restored);
    const { uid, gid } = userIds(RESTORE_USER);
    await chown(restored, uid, gid);
    this.#started.push(restored);
    const { accessKeyId, secretAccessKey, sessionToken } = this.#recovery.s3.restoreCredentials;
    const output = asUser(['sh', script], {
      ...{ PGBACKREST_REPO1_S3_KEY: accessKeyId, PGBACKREST_REPO1_S3_KEY_SECRET: secretAccessKey },
      ...(sessionToken === null ? {} : { PGBACKREST_REPO1_S3_TOKEN: sessionToken }),
      PGBACKREST_REPO1_CIPHER_PASS: readOnly.cipher ?? '',
      RESTORED: restored,
      ...env,
    });
    expect(output).toMatch(/^ shop +\| postgres/m);
    return restored;
  }

  ask(restored: string, query: string): string {
    const options = ['--no-psqlrc', '--tuples-only', '--no-align', '--username=postgres', '--dbname=shop'];
    return asUser([this.#programs.psql, ...options, `--host=${restored}`, `--command=${query}`]).trim();
  }

  stop(): void {
    for (const restored of this.#started) {
      try {
        asUser([this.#programs.pgCtl, 'stop', '-D', join(restored, 'data'), '-m', 'immediate']);
      } catch {
        // It has not come up, or its test has ended it.
      }
    }
  }
}
