import type { LoadedConfig } from '../../config/load.ts';
import type { DatabaseConfig } from '../../config/schema.ts';
import type { EngineKind } from '../../model/engine.ts';

/** Where an engine's own client goes. The url holds no password; `secrets` are the engine's own, and the client's alone. */
export interface Destination<S = unknown> {
  url: string;
  /** null: none are needed, as on an instance's private socket */
  secrets: S | null;
}

/** The client program of an engine that people type statements into. */
export interface Shell<S = unknown> {
  /** for people: `psql` */
  readonly program: string;
  /** A database of the configuration, secrets resolved. */
  destination(database: DatabaseConfig, config: LoadedConfig): Promise<Destination<S>>;
  /** the folder of the socket that a url names; null: it names none */
  socketFolder(url: string): string | null;
  /** Runs it at the terminal, with arguments of the person's own. Throws ToolMissing. */
  run(to: Destination<S>, given: readonly string[], config: LoadedConfig): Promise<number>;
}

/** By engine; null: it has none yet. */
export async function shellOf(engine: EngineKind): Promise<Shell | null> {
  switch (engine) {
    case 'postgres':
      return (await import('./postgres.ts')).psql as Shell;
    case 'mysql':
      return (await import('./mysql.ts')).mysql as Shell;
    case 'mongodb':
      return null;
  }
}

/** The engine of an instance, by the scheme of its url. */
export function engineOfUrl(url: string): EngineKind {
  return url.startsWith('mysql:') ? 'mysql' : 'postgres';
}

/** A url without a host is none of the standard's: a socket's place is in its parameters. */
export function parseUrl(url: string): URL {
  return new URL(url.replace('@/', '@localhost/'));
}
