import { describe } from 'vitest';
import { withAccident } from '../e2e/mysql-accident.ts';
import {
  testDoctor,
  testDroppedTable,
  testEnvironment,
  testExport,
  testFind,
  testKilledWorker,
  testPosition,
  testRetarget,
  testRules,
  testVerify,
} from '../e2e/mysql-scenarios.ts';
import { FLAVOURS } from '../e2e/mysql-stack.ts';
import { HAS_MYSQL_CLIENTS } from '../engine/mysql-server.ts';

describe.each(FLAVOURS.filter((kind) => kind !== 'mysql' || HAS_MYSQL_CLIENTS))('a shop of %s', (kind) => {
  const accident = withAccident(kind);
  testEnvironment(accident);
  testDoctor(accident);
  testPosition(accident);
  testFind(accident);
  testRetarget(accident);
  testExport(accident);
  testVerify(accident);
  testKilledWorker(accident);
  testRules(accident, ['insert-missing', 'restore-changed', 'replace', 'side-by-side']);
  testDroppedTable(accident);
});
