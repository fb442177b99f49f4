import { describe } from 'vitest';
import { withAccident } from './mysql-accident.ts';
import {
  testDoctor,
  testDroppedTable,
  testEnvironment,
  testExport,
  testFind,
  testPosition,
  testRules,
  testVerify,
} from './mysql-scenarios.ts';

/** Every scenario on both flavours: test/long/mysql-flavours.test.ts. */
describe('a shop of mariadb', () => {
  const accident = withAccident('mariadb');
  testEnvironment(accident);
  testDoctor(accident);
  testPosition(accident);
  testFind(accident);
  testExport(accident);
  testVerify(accident);
  testRules(accident, ['insert-missing', 'restore-changed']);
  testDroppedTable(accident);
});
