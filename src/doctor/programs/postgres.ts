import { dumpPrograms, postgresProgram } from '../../engines/postgres/programs.ts';
import type { EnginePrograms } from './programs.ts';

/** What runs on the site's machine to bring a server up. */
const SERVER = ['postgres', 'pg_ctl', 'pg_controldata'] as const;

export const postgresPrograms: EnginePrograms = {
  serverPin: () => 'postgres',
  dumpPin: 'pg_dump',
  async dumpClient(major) {
    const { pgDump, version, notices } = await dumpPrograms(major);
    return { path: pgDump, version, notices };
  },
  async server(major) {
    const paths: string[] = [];
    for (const program of SERVER) paths.push(await postgresProgram(program, major));
    return `PostgreSQL ${major}: ${paths[0]}`;
  },
  tools: [{ program: 'pgbackrest', args: ['version'] }],
};
