import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** moto stands for AWS: it is no AWS, and proves only that we speak its services' language. */
export interface Moto {
  endpoint: string;
  end(): Promise<void>;
}

/** `certsDirectory`: with the `public.crt` and `private.key` that it serves TLS with; left out: plain. */
export async function startMoto(options: { certsDirectory?: string } = {}): Promise<Moto> {
  const { certsDirectory } = options;
  const tls =
    certsDirectory === undefined
      ? []
      : ['-c', join(certsDirectory, 'public.crt'), '-k', join(certsDirectory, 'private.key')];
  const server = spawn('moto_server', ['-H', '127.0.0.1', '-p', '0', ...tls], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const endpoint = await new Promise<string>((resolve, reject) => {
    let said = '';
    server.stderr.on('data', (text: Buffer) => {
      said += text.toString();
      const found = /Running on (https?:\/\/127\.0\.0\.1:\d+)/.exec(said);
      if (found !== null) resolve(found[1] as string);
    });
    server.on('error', reject);
    server.on('exit', () => reject(new Error(`moto_server ended: ${said}; run scripts/setup.sh`)));
  });
  return {
    endpoint,
    async end() {
      if (server.exitCode !== null) return;
      server.kill('SIGTERM');
      await once(server, 'exit');
    },
  };
}
