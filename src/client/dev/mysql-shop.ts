import { userInfo } from 'node:os';
import { join } from 'node:path';
import { dumpPrograms } from '../../engines/mysql/programs.ts';
import { userIds } from '../../engines/process.ts';
import { HoldfastError } from '../../model/failure.ts';
import { DATABASE, layoutOf, makeSecretsDirectory } from './configuration.ts';
import { mysqlPid, startMysql, stopMysql } from './mysql.ts';
import { ADMIN, APPLICATION, accountsOf } from './mysql-accounts.ts';
import { fillSample } from './mysql-sample.ts';
import { type Shop, secretIn } from './shop.ts';
import type { ShopKind } from './state.ts';

const SERIES = { mysql: 800, mariadb: 1011 } as const satisfies Partial<Record<ShopKind, number>>;

/** A MySQL or MariaDB server whose binary logs are shipped from its own folder. */
export const mysqlShop: Shop = {
  async start({ directory, port, kind }, _s3, signal) {
    const { mysql, secrets } = layoutOf(directory);
    await makeSecretsDirectory(directory);
    // Made up the first time.
    await secretIn(secrets.cipher);
    const password = await secretIn(secrets.password);
    const applicationPassword = await secretIn(secrets.applicationPassword);
    const series = seriesOf(kind);
    const { flavour } = await dumpPrograms(series);
    const { access, pid } = await startMysql({
      ...{ directory: mysql, port, series, systemUser: serverUser(), signal },
      prepare: accountsOf(series, DATABASE, { admin: password, application: applicationPassword }, flavour),
      account: { user: ADMIN, password, database: DATABASE },
    });
    const urlFor = (user: string, secret: string) =>
      `mysql://${user}:${encodeURIComponent(secret)}@127.0.0.1:${access.port}/${DATABASE}`;
    return {
      pid,
      url: urlFor(ADMIN, password),
      applicationUrl: urlFor(APPLICATION, applicationPassword),
    };
  },

  stop: (directory) => stopMysql(layoutOf(directory).mysql),

  pid: (directory) => mysqlPid(layoutOf(directory).mysql),

  fill: fillSample,

  section: async ({ directory, port }) => {
    const { mysql, secrets } = layoutOf(directory);
    return {
      engine: 'mysql',
      connection: {
        ...{ host: '127.0.0.1', port, user: ADMIN },
        ...{ password: { file: secrets.password }, database: DATABASE, tls: 'off' },
      },
      mysql: { logDirectory: join(mysql, 'log') },
    };
  },

  firstBackups: ['logical'],
};

function seriesOf(kind: ShopKind): number {
  if (kind === 'postgres') throw new TypeError('PostgreSQL has no series of MySQL');
  return SERIES[kind];
}

/** Its packages make the user; where they are not installed, the one who owns nothing does as well. */
function serverUser(): string {
  for (const name of ['mysql', 'nobody']) {
    try {
      userIds(name);
      return name;
    } catch {
      // Not on this machine.
    }
  }
  throw new HoldfastError(
    'ToolMissing',
    `there is no user mysql, nor nobody, beside ${userInfo().username}`,
    {
      hint: 'useradd --system --no-create-home --shell /usr/sbin/nologin mysql',
    },
  );
}
