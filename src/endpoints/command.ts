import type { EndpointConfig } from '../config/schema/endpoint.ts';
import { runTool } from '../engines/process.ts';
import { parseDuration } from '../model/duration.ts';
import { formatAddress } from '../model/topology.ts';
import { parseAddress, sameAddress } from './address.ts';
import type { Unnamed } from './endpoint.ts';
import { endpointFailed, programFailed } from './failure.ts';

type CommandConfig = Extract<EndpointConfig, { command: unknown }>['command'];

/** A user's own programs: `get` prints what is set, `set` sets what its environment says. */
export function commandEndpoint(config: CommandConfig, database: string): Unnamed {
  const call = async (command: readonly string[], env: Record<string, string>, signal: AbortSignal) => {
    const [program = '', ...args] = command;
    const limit = AbortSignal.timeout(parseDuration(config.timeout));
    const hint = 'run it by hand on the worker of the target site, with the variables of its environment';
    try {
      const { stdout } = await runTool(program, args, {
        signal: AbortSignal.any([signal, limit]),
        env: { HOLDFAST_DATABASE: database, ...env },
        stdout: 'text',
      });
      return stdout.trim();
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.aborted) throw programFailed(error, hint);
      throw endpointFailed(`${program} did not end within ${config.timeout}`, hint, { retryable: true });
    }
  };
  const get = config.get[0] as string;
  const read = async (signal: AbortSignal) => {
    const said = await call(config.get, {}, signal);
    const address = said === '' ? null : parseAddress(said);
    if (said === '' || (address !== null && !/\s/.test(said))) return address;
    throw endpointFailed(
      `${get} did not print host:port`,
      'it has to print what is set now and nothing else',
    );
  };
  return {
    pooler: null,
    read: (run) => read(run.signal),
    async write(address, { signal }) {
      const env = { HOLDFAST_HOST: address.host, HOLDFAST_PORT: String(address.port) };
      await call(config.set, env, signal);
      const now = await read(signal);
      if (sameAddress(now, address)) return;
      throw endpointFailed(
        `${get} says ${now === null ? 'nothing' : formatAddress(now)} after ${formatAddress(address)} was set`,
        'both commands of the endpoint have to speak of the same thing',
      );
    },
  };
}
