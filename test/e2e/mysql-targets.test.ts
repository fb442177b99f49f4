import { describe } from 'vitest';
import { HAS_MYSQL_CLIENTS } from '../engine/mysql-server.ts';
import { withAccident } from './mysql-accident.ts';
import {
  testDoctor,
  testEnvironment,
  testFind,
  testKilledWorker,
  testRetarget,
  testRules,
} from './mysql-scenarios.ts';

/** Every scenario on both flavours: test/long/mysql-flavours.test.ts. */
const kind = HAS_MYSQL_CLIENTS ? 'mysql' : 'mariadb';

describe(`a shop of ${kind}`, () => {
  const accident = withAccident(kind);
  testEnvironment(accident);
  testDoctor(accident);
  testRetarget(accident);
  testFind(accident);
  testKilledWorker(accident);
  testRules(accident, ['replace', 'side-by-side']);
});
