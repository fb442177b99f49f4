import type { HealthCheck } from '../config/schema/database.ts';
import type { Engine } from '../engines/engine.ts';
import { checkHealth } from '../instances/health.ts';
import type { ServerAccess } from '../model/access.ts';
import type { Check } from '../model/evidence.ts';
import type { Run } from '../model/progress.ts';

/** An application's own questions to a server, asked by its engine. `user`: whom its programs run as; null: the worker's own. */
export function askApplication(
  checks: readonly HealthCheck[],
  { engine, access, user }: { engine: Engine; access: ServerAccess; user: string | null },
  run: Run,
): Promise<Check[]> {
  return checkHealth(
    checks,
    {
      ask: (sql, timeoutMs, asking) => engine.assertSql(access, sql, { timeoutMs }, asking),
      environment: {
        ...{ PGHOST: access.host, PGPORT: String(access.port), PGUSER: access.user },
        PGDATABASE: access.database,
      },
      user,
    },
    run,
  );
}
