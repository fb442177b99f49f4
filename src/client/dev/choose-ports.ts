import { HoldfastError } from '../../model/failure.ts';
import { freePort, isPortFree, portHolder } from './ports.ts';
import type { DevState, PortName } from './state.ts';

export type PortNumbers = Record<PortName, number>;

export const DEFAULT_PORTS: PortNumbers = {
  ...{ temporal: 7233, ui: 8233, s3: 9443 },
  ...{ postgres: 54_321, mysql: 33_306 },
};

/** Which program listens there, and what people call it. */
const OWNERS: Record<PortName, { program: string; title: string }> = {
  temporal: { program: 'temporal', title: 'Temporal' },
  ui: { program: 'temporal', title: "Temporal's UI" },
  s3: { program: 's3', title: 'S3' },
  postgres: { program: 'postgres', title: 'PostgreSQL' },
  mysql: { program: 'mysql', title: 'MySQL' },
};

/**
 * The port of every one of these servers: the one asked for, else the one of the last time, else the default; 0 is any free one.
 * Throws `InvalidConfiguration` that names a port in use and who holds it, or a server that runs on another port.
 */
export async function choosePorts<N extends PortName>(options: {
  names: readonly N[];
  asked: Partial<PortNumbers>;
  remembered: DevState['ports'];
  defaults: PortNumbers;
  /** programs that run already keep their ports */
  running: ReadonlySet<string>;
}): Promise<Record<N, number>> {
  const chosen: Partial<PortNumbers> = {};
  for (const name of options.names) {
    const { program, title } = OWNERS[name];
    const asked = options.asked[name];
    const remembered = options.remembered[name];
    if (options.running.has(program) && remembered !== undefined) {
      if (asked !== undefined && asked !== 0 && asked !== remembered) {
        throw new HoldfastError('InvalidConfiguration', `${title} already runs on port ${remembered}`, {
          hint: `leave out --${name}-port, or run \`holdfast dev down\` first`,
        });
      }
      chosen[name] = remembered;
      continue;
    }
    const wanted = await wantedPort(asked, remembered, options.defaults[name]);
    chosen[name] =
      wanted === 0 ? await freePortBeside(Object.values(chosen)) : await requireFree(name, wanted, chosen);
  }
  return chosen as Record<N, number>;
}

/** "Any free port" is the one of the last time where that is still free. */
async function wantedPort(
  asked: number | undefined,
  remembered: number | undefined,
  standard: number,
): Promise<number> {
  if (asked !== 0) return asked ?? remembered ?? standard;
  return remembered !== undefined && (await isPortFree(remembered)) ? remembered : 0;
}

export async function freePortBeside(taken: readonly number[]): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (!taken.includes(port)) return port;
  }
}

async function requireFree(name: PortName, port: number, chosen: Partial<PortNumbers>): Promise<number> {
  const hint = `choose another with --${name}-port N, or any free one with --${name}-port 0`;
  const { title } = OWNERS[name];
  if (Object.values(chosen).includes(port)) {
    throw new HoldfastError('InvalidConfiguration', `port ${port} is asked for twice`, { hint });
  }
  if (!(await isPortFree(port))) {
    const holder = await portHolder(port);
    throw new HoldfastError(
      'InvalidConfiguration',
      `port ${port} for ${title} is taken${holder === null ? '' : ` by ${holder}`}`,
      { hint },
    );
  }
  return port;
}
