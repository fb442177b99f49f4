import type { Config } from '../config/schema.ts';
import { configurePrograms as configureMysql } from '../engines/mysql/programs.ts';
import { configurePrograms as configurePostgres } from '../engines/postgres/programs.ts';

/** Makes `tools` of the configuration hold for everything that this process does from now on. */
export function configureTools({ tools }: Pick<Config, 'tools'>): void {
  configurePostgres(tools.postgres ?? {});
  configureMysql(tools.mysql ?? {});
}
