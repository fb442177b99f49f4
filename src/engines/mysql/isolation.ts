import { HoldfastError } from '../../model/failure.ts';
import type { Run } from '../../model/progress.ts';
import type { InstancePlace } from '../contract/restore.ts';
import { type Connection, withConnection } from './connection.ts';
import { replicationWords } from './flavour.ts';
import { instanceAccess, layoutOf } from './place.ts';

/** Looks at the running server itself: whatever its files say, it must not be able to touch production. */
export async function requireIsolation(place: InstancePlace, run: Run): Promise<void> {
  const { plugins, files } = layoutOf(place);
  const wanted: Record<string, (value: string) => boolean> = {
    skip_networking: isOn,
    event_scheduler: (value) => value === 'DISABLED' || value === 'OFF',
    log_bin: isOff,
    read_only: isOn,
    plugin_dir: (value) => isFolder(value, plugins),
    secure_file_priv: (value) => isFolder(value, files),
  };
  await withConnection(
    instanceAccess(place),
    run,
    async (session) => {
      for (const [name, isRight] of Object.entries(wanted)) {
        const [row] = await session.query<{ value: string | number }>(`SELECT @@GLOBAL.${name} AS value`);
        const value = String(row?.value);
        if (!isRight(value)) throw notIsolated(`${name} is ${value}`);
      }
      await requireNoSource(session);
      await requireNoPlugins(session);
    },
    { applicationName: 'isolation' },
  );
}

const isOn = (value: string) => value === '1' || value === 'ON';
const isOff = (value: string) => value === '0' || value === 'OFF';
const isFolder = (value: string, folder: string) => value.replace(/\/$/, '') === folder;

async function requireNoSource(session: Connection): Promise<void> {
  const { status } = replicationWords(session.server);
  const all = session.server.flavour === 'mariadb' ? status.replace('SLAVE', 'ALL SLAVES') : status;
  const rows = await session.query(all);
  if (rows.length > 0) throw notIsolated('it has a source to replicate from');
}

/** MySQL's X plugin has a port and a socket of its own; other things that production had loaded act by themselves. */
async function requireNoPlugins(session: Connection): Promise<void> {
  const rows = await session.query<{ name: string }>(
    `SELECT plugin_name AS name FROM information_schema.plugins
      WHERE plugin_status = 'ACTIVE' AND (plugin_library IS NOT NULL OR plugin_name = 'mysqlx')`,
  );
  if (rows.length > 0) throw notIsolated(`it runs the plugin ${rows[0]?.name}`);
}

function notIsolated(why: string): HoldfastError {
  return new HoldfastError('CheckFailed', `the restored server is not isolated: ${why}`, {
    hint: 'this is a fault of Holdfast: the server has been stopped, please report it',
  });
}
