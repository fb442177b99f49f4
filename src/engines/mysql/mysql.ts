import type { Engine } from '../engine.ts';
import { assertSql } from './assert-sql.ts';
import { check } from './check.ts';
import { compare } from './compare/compare.ts';
import { countRows } from './count-rows.ts';
import { dump } from './dump.ts';
import { restoreTables } from './dumped/restore-tables.ts';
import { examine } from './examine/examine.ts';
import { exportTables } from './export.ts';
import { find } from './find/find.ts';
import { fingerprint } from './fingerprint.ts';
import { identify } from './identify.ts';
import { importRows } from './import/import.ts';
import { verifyImport } from './import/verify.ts';
import { inspect } from './inspect.ts';
import { instructions } from './instructions.ts';
import { closeLog, shipping } from './log.ts';
import { probe } from './probe.ts';
import { listRelations } from './relations.ts';
import { replay } from './replay.ts';
import { resolveTables } from './resolve.ts';
import { restore } from './restore.ts';
import { ensureRunning, stop } from './server.ts';
import { planUndo } from './undo/plan.ts';
import { undo } from './undo/undo.ts';
import { verifyUndo } from './undo/verify.ts';

/** MySQL 8 and MariaDB 10.11 and newer. */
export const mysql: Engine = {
  kind: 'mysql',
  physical: null,
  logs: { kind: 'shipped', ...shipping },
  inspect,
  examine,
  resolveTables,
  listRelations,
  dump,
  closeLog,
  restore,
  restoreTables,
  replay,
  identify,
  check,
  compare,
  import: importRows,
  verifyImport,
  planUndo,
  undo,
  verifyUndo,
  exportTables,
  find,
  stop,
  ensureRunning,
  instructions,
  countRows,
  assertSql,
  probe,
  fingerprint,
};
