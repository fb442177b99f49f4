import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { TakeOverInput } from '../../contract/restore.ts';
import { layoutOf } from '../place.ts';
import { postgresProgram } from '../programs.ts';

const run = promisify(execFile);

/** Writes a systemd unit for the server beside its data; gives its path. An administrator installs it. */
export async function writeService(input: TakeOverInput): Promise<string> {
  const program = await postgresProgram('postgres', input.serverMajor);
  const path = join(input.place.directory, serviceName(input));
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(beside, renderService(input, { program, notifies: await notifies(program), path }), {
    mode: 0o644,
    flag: 'wx',
  });
  await rename(beside, path);
  return path;
}

/** Whether this server tells systemd when it is ready: pg_config beside it says how it was built. */
async function notifies(program: string): Promise<boolean> {
  return run(join(dirname(program), 'pg_config'), ['--configure']).then(
    ({ stdout }) => stdout.includes('--with-systemd'),
    () => false,
  );
}

const serviceName = ({ name, stanza }: TakeOverInput) => `holdfast-${name ?? stanza}.service`;

export function renderService(
  input: TakeOverInput,
  server: { program: string; notifies: boolean; path: string },
): string {
  const { data, configuration, sockets } = layoutOf(input.place);
  const user = input.place.user ?? userInfo().username;
  const name = input.name ?? input.stanza;
  const words = [server.program, '-D', data, '-c', `config_file=${join(configuration, 'postgresql.conf')}`];
  // Folders in /tmp are gone after a restart of the machine.
  const makeSockets = sockets.startsWith(`${input.place.directory}/`)
    ? ''
    : `ExecStartPre=+/usr/bin/install -d -m 0700 -o ${user} ${quote(sockets)}\n`;
  return `# Written by Holdfast: the server that took ${name} over. It runs already, but does not come back after a restart of the
# machine by itself until this is installed. Install a copy, which the server's user cannot change, then, at a quiet moment:
#   install -o root -m 0644 ${server.path} /etc/systemd/system/ && systemctl daemon-reload
#   kill -INT "$(head -1 ${join(data, 'postmaster.pid')})"   # ends it in order
#   systemctl enable --now ${serviceName(input)}
[Unit]
Description=PostgreSQL of ${name.replaceAll('%', '%%')}, taken over by Holdfast
Wants=network-online.target
After=network-online.target

[Service]
Type=${server.notifies ? 'notify' : 'simple'}
User=${user}
# archive_command finds pgbackrest by it.
Environment=${quote(`PATH=${process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin'}`)}
Environment=LC_ALL=C.UTF-8 TZ=UTC
${makeSockets}ExecStart=${words.map(quote).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
# A fast shutdown, which waits for no client.
KillSignal=SIGINT
KillMode=mixed
TimeoutSec=infinity
Restart=on-failure
OOMScoreAdjust=-900
NoNewPrivileges=yes
ProtectSystem=full
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictRealtime=yes
LockPersonality=yes

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a unit: in double quotes, its specifiers and variables as they stand (systemd.service(5)). */
function quote(word: string): string {
  const text = word
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('%', '%%')
    .replaceAll('$', '$$$$');
  return /^[\w/.=:-]+$/.test(word) ? word : `"${text}"`;
}
