import { resolve } from 'node:path';
import type { EndpointConfig } from '../config/schema/endpoint.ts';
import { runTool } from '../engines/process.ts';
import { requirePlain, sameAddress } from './address.ts';
import type { Unnamed } from './endpoint.ts';
import { endpointFailed, programFailed } from './failure.ts';
import { readBytes, replaceFile } from './replace-file.ts';
import { serviceSection } from './service-file.ts';
import { passwordsOf } from './url.ts';
import { hostAndPortVariables, urlVariable, variableIn } from './variables.ts';

type FileConfig = Extract<EndpointConfig, { file: unknown }>['file'];

const RELOAD_LIMIT_MS = 60_000;

/** A file that applications read. `directory` is the configuration's own. */
export function fileEndpoint(config: FileConfig, directory: string): Unnamed {
  const path = resolve(directory, config.path);
  const { entry, rewriting } = formOf(config);
  const missing = () =>
    endpointFailed(
      `${path} names no server in ${entry}, or names it twice over`,
      `write ${entry} with a host into it by hand: no other parameter (hostaddr, host in a query) may name the server too`,
    );
  const read = async () => {
    const address = rewriting.read(await readBytes(path));
    if (address === null) throw missing();
    return address;
  };
  return {
    pooler: null,
    read,
    async write(address, run) {
      requirePlain(address);
      const text = await readBytes(path);
      const edited = rewriting.rewrite(text, address);
      if (edited === null) throw missing();
      if (edited !== text) await replaceFile(path, edited);
      // Also where nothing was to be written: an attempt may have been killed before it.
      await reload(config, text, run.signal);
      if (!sameAddress(await read(), address)) {
        throw endpointFailed(
          `${path} was changed by somebody else right behind it`,
          'see what else writes the file',
        );
      }
    },
  };
}

function formOf(config: FileConfig) {
  if ('url' in config) return { entry: config.url, rewriting: urlVariable(config.url) };
  if ('service' in config) {
    return { entry: `[${config.service}]`, rewriting: serviceSection(config.service) };
  }
  const { host, port } = config;
  return { entry: `${host} and ${port}`, rewriting: hostAndPortVariables(host, port) };
}

async function reload(config: FileConfig, text: string, signal: AbortSignal): Promise<void> {
  const [program, ...args] = config.reload ?? [];
  if (program === undefined) return;
  const value = 'url' in config ? variableIn(text, config.url) : null;
  const secrets = value === null ? [] : passwordsOf(text.slice(value.start, value.end));
  const limit = AbortSignal.timeout(RELOAD_LIMIT_MS);
  try {
    await runTool(program, args, { signal: AbortSignal.any([signal, limit]), secrets });
  } catch (error) {
    signal.throwIfAborted();
    const hint =
      'the file is written, its readers may not have seen it: run the reload command by hand to see why';
    if (!limit.aborted) throw programFailed(error, hint);
    throw endpointFailed(`${program} did not end within a minute`, hint, { retryable: true });
  }
}
