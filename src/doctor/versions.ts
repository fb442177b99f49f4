import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { DatabaseView } from '../config/describe.ts';
import { HoldfastError } from '../model/failure.ts';
import { serverMajorOf } from '../model/server-major.ts';
import { type Check, type Installation, look, lookAtEach } from './check.ts';
import { type EnginePrograms, type Pinned, PROGRAMS } from './programs/programs.ts';

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
  ...(await lookAtEach(
    toolsOf(of.databases),
    ({ program }) => program,
    ({ program, args }) => programVersion(of, program, args),
  )),
  await look('zstd', () => programVersion(of, 'zstd', ['--version'])),
  ...(await lookAtEach(
    of.databases,
    ({ name }) => `server of ${name}`,
    async (database) => {
      const { programs, major, version } = await known(of, database);
      return held(of, programs.serverPin(major), version);
    },
  )),
  ...(await lookAtEach(
    of.databases,
    ({ name }) => `dump client for ${name}`,
    async (database) => {
      const { programs, major } = await known(of, database);
      const { version, path, notices } = await programs.dumpClient(major);
      const pin = programs.dumpPin;
      const detail = held(of, pin, version);
      // Somebody has looked at exactly this version, and written it down.
      if (notices.length === 0 || of.loaded.config.versions[pin] === version) return `${detail}, ${path}`;
      throw new HoldfastError('ToolMissing', `${path}: ${notices.join('; ')}`, {
        hint: `update it; or take it as it is: versions.${pin}: "${version}"`,
      });
    },
  )),
];

/** What the engines of these databases are backed up with, each once. */
function toolsOf(databases: readonly DatabaseView[]): EnginePrograms['tools'] {
  const engines = new Set(databases.map(({ config }) => config.engine));
  return [...engines].flatMap((engine) => PROGRAMS[engine]?.tools ?? []);
}

async function known(
  of: Installation,
  database: DatabaseView,
): Promise<{ programs: EnginePrograms; major: number; version: string }> {
  const { engine } = database.config;
  const programs = PROGRAMS[engine];
  if (programs === undefined) throw new HoldfastError('NotSupported', `no ${engine} yet`);
  const { version } = await of.examined(database);
  return { programs, version, major: serverMajorOf({ engine, serverVersion: version }) };
}

async function programVersion(of: Installation, program: Pinned, args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, [...args]).catch((cause: NodeJS.ErrnoException) => {
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
