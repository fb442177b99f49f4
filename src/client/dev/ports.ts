import { randomInt } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';

/** Below those that clients and programs without a wish are given (source: ip(7), ip_local_port_range: 32768 on). */
const PORTS = { first: 15_000, last: 32_000 };

/**
 * A TCP port of loopback that nobody listens on. It is released before it is returned: another could take it, but nobody
 * does who asks for any port.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.first, PORTS.last + 1);
    if (await isPortFree(port)) return port;
  }
}

/** Whether a server could listen on this port of loopback now. */
export async function isPortFree(port: number): Promise<boolean> {
  try {
    await listenOnce(port);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}

function listenOnce(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}

/** Who listens on a TCP port: `minio (pid 4711)`; null where that cannot be seen (another user's program, no /proc). */
export async function portHolder(port: number): Promise<string | null> {
  const inodes = new Set([
    ...(await listeningInodes('/proc/net/tcp', port)),
    ...(await listeningInodes('/proc/net/tcp6', port)),
  ]);
  if (inodes.size === 0) return null;
  const sockets = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (/^\d+$/.test(pid) && (await holdsOneOf(pid, sockets)))
      return `${await programName(pid)} (pid ${pid})`;
  }
  return null;
}

const LISTENING = '0A';

/** Inodes of the sockets that listen on a port, from the kernel's table (source: proc(5), /proc/net/tcp). */
async function listeningInodes(file: string, port: number): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] === LISTENING)
    .map((fields) => fields[9] as string);
}

async function holdsOneOf(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const link = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    if (sockets.has(link)) return true;
  }
  return false;
}

async function programName(pid: string): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a program')).trim();
}
