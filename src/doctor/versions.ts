import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { PINNED } from '../config/schema.ts';
import { dumpPrograms } from '../engines/postgres/programs.ts';
import { HoldfastError } from '../model/failure.ts';
import { type Check, type Installation, look, lookAtEach } from './check.ts';

type Pinned = (typeof PINNED)[number];

const run = promisify(execFile);
/** Of Node: what Holdfast asks for. */
const NODE = [22, 12] as const;

/** Versions of programs and servers, held against the pins of the configuration where there are any. */
export const checkVersions: Check<Installation> = async (of) => [
  await look('node', async () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    if (major < NODE[0] || (major === NODE[0] && minor < NODE[1])) {
      throw new HoldfastError('ToolMissing', `Node ${process.versions.node} is too old`, {
        hint: `Holdfast asks for Node ${NODE.join('.')} or newer; 24 is recommended`,
      });
    }
    return held(of, 'node', process.versions.node);
  }),
  await look('temporal server', async () => held(of, 'temporal', (await of.temporal.describe()).version)),
  await look('pgbackrest', () => programVersion(of, 'pgbackrest', ['version'])),
  await look('zstd', () => programVersion(of, 'zstd', ['--version'])),
  ...(await lookAtEach(
    of.databases,
    ({ name }) => `server of ${name}`,
    async (database) => held(of, 'postgres', (await of.examined(database)).version),
  )),
  ...(await lookAtEach(
    of.databases,
    ({ name }) => `dump client for ${name}`,
    async (database) => {
      const { version: server } = await of.examined(database);
      const { version, pgDump, notices } = await dumpPrograms(Number(server.split('.')[0]));
      const detail = held(of, 'pg_dump', version);
      // Somebody has looked at exactly this version, and written it down.
      if (notices.length === 0 || of.loaded.config.versions.pg_dump === version)
        return `${detail}, ${pgDump}`;
      throw new HoldfastError('ToolMissing', `${pgDump}: ${notices.join('; ')}`, {
        hint: `update it; or take it as it is: versions.pg_dump: "${version}"`,
      });
    },
  )),
];

async function programVersion(of: Installation, program: Pinned, args: string[]): Promise<string> {
  const { stdout } = await run(program, args).catch((cause: NodeJS.ErrnoException) => {
    throw new HoldfastError('ToolMissing', `${program} cannot be run (${cause.code})`, {
      hint: `install ${program} on this host`,
      cause,
    });
  });
  return held(of, program, /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? stdout.trim());
}

/** The version as it is. Throws InvalidConfiguration where it is not the one that is pinned: `15` allows 15.x. */
function held({ loaded }: Installation, program: Pinned, version: string): string {
  const pin = loaded.config.versions[program];
  if (pin === undefined) return version;
  if (version === pin || version.startsWith(`${pin}.`)) return `${version}, as pinned (${pin})`;
  throw new HoldfastError('InvalidConfiguration', `${program} is ${version}, and ${pin} is pinned`, {
    hint: `install ${pin}, or change versions.${program} in the configuration`,
  });
}
