import { expect, test } from 'vitest';
import { dumpPrograms } from '../../src/engines/mysql/programs.ts';
import { HAS_MYSQL_CLIENTS } from './mysql-server.ts';

test.skipIf(!HAS_MYSQL_CLIENTS)(
  "Oracle's client programs are here (else dumps, exports and remote logs of MySQL are not tested: scripts/setup.sh --check)",
  async () => {
    const { flavour, binlog } = await dumpPrograms(800);
    expect(flavour).toBe('mysql');
    expect(binlog).toMatch(/mysqlbinlog$/);
  },
);
