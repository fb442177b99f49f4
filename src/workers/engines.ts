import type { Dependencies } from '../activities/dependencies.ts';
import { mysql } from '../engines/mysql/mysql.ts';
import { postgres } from '../engines/postgres/postgres.ts';

/** The engines that this version has. */
export const ENGINES: Dependencies['engines'] = { postgres, mysql };
