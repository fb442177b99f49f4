import { HoldfastError } from '../model/failure.ts';
import { countOf } from '../model/plan.ts';
import { serverMajorOf } from '../model/server-major.ts';
import { toolRepository } from '../repository/tool.ts';
import { type Check, lookAtEach } from './check.ts';
import { PROGRAMS } from './programs/programs.ts';

/** Programs of exactly each database's major version. */
export const checkServerPrograms: Check = (patient) =>
  lookAtEach(
    patient.databases,
    ({ name }) => `server programs for ${name}`,
    async (database) => {
      const programs = PROGRAMS[database.config.engine];
      if (programs === undefined) throw new HoldfastError('NotSupported', `no ${database.config.engine} yet`);
      return programs.server(serverMajorOf(await patient.baseOf(database)));
    },
  );

/** The backup tool, run as a restore runs it: its program, the credentials, the passphrase and the stanza. */
export const checkBackupTool: Check = (patient) =>
  lookAtEach(
    patient.databases.filter(({ bases }) => bases === 'physical'),
    ({ name }) => `backup tool for ${name}`,
    async ({ name, config, stanza }) => {
      const { loaded, site, run } = patient;
      const repository = await toolRepository(loaded.config.repository, {
        ...{ use: 'restore', baseDirectory: loaded.directory },
      });
      const systemUser = loaded.config.sites[site]?.user ?? null;
      const backups = await patient.engines[config.engine]?.physical?.listBackups(
        { repository, stanza, systemUser },
        run,
      );
      const newest = backups?.at(-1);
      if (newest === undefined) {
        throw new HoldfastError('UnknownBackup', `pgBackRest sees no backup in stanza ${stanza}`, {
          hint: `holdfast backup ${name} --tier physical --wait`,
        });
      }
      return `pgBackRest ${newest.toolVersion} reads ${countOf(backups?.length ?? 0, 'backup')} of stanza ${stanza} as ${systemUser}`;
    },
  );
