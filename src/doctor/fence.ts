import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { HoldfastError } from '../model/failure.ts';
import { type Check, lookAtEach } from './check.ts';

/** The program that keeps the old server from being written to. It is looked for, not run. */
export const checkFences: Check = ({ takeovers }) =>
  lookAtEach(
    takeovers,
    ({ database }) => `fence of ${database.name}`,
    async ({ database: { name, config } }) => {
      const program = config.fence?.command[0];
      if (program === undefined) return 'no command: whoever approves says that the old server is stopped';
      const folders = program.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
      for (const folder of folders) {
        const path = folder === '' ? program : join(folder, program);
        if (await isProgram(path)) return path;
      }
      throw new HoldfastError('ToolMissing', `${program} is no program of this machine`, {
        hint: `put it here, or correct databases.${name}.fence.command`,
      });
    },
  );

const isProgram = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
