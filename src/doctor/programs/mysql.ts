import { describeSeries, flavourOf } from '../../engines/mysql/flavour.ts';
import { dumpPrograms, mysqlProgram } from '../../engines/mysql/programs.ts';
import type { EnginePrograms } from './programs.ts';

/** MySQL and MariaDB. */
export const mysqlPrograms: EnginePrograms = {
  serverPin: (series) => flavourOf(series),
  dumpPin: 'mysqldump',
  async dumpClient(series) {
    const { dump, flavour, version } = await dumpPrograms(series);
    // MariaDB's serve MySQL 8.0 as well: that is so, and nothing to be mended.
    const whose = flavour === flavourOf(series) ? '' : ", of MariaDB, which serves MySQL's too";
    return { path: `${dump}${whose}`, version, notices: [] };
  },
  async server(series) {
    const server = await mysqlProgram('mysqld', series);
    // A site loads dumps itself; its exports are dumps again. MariaDB needs a program to make a data directory.
    const { dump } = await dumpPrograms(series);
    if (flavourOf(series) === 'mariadb') await mysqlProgram('mariadb-install-db', series);
    return `${describeSeries(series)}: ${server}; exports by ${dump}`;
  },
  tools: [],
};
