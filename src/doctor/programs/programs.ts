import type { PINNED } from '../../config/schema.ts';
import type { EngineKind } from '../../model/engine.ts';
import { mysqlPrograms } from './mysql.ts';
import { postgresPrograms } from './postgres.ts';

export type Pinned = (typeof PINNED)[number];

/** The programs that an engine's backups and restores are made with. */
export interface EnginePrograms {
  /** by what name a server is pinned; `major` is what serverMajorOf says */
  serverPin(major: number): Pinned;
  /** by what name the client that dumps is pinned */
  readonly dumpPin: Pinned;
  /** The client programs for a server. Throws ToolMissing. */
  dumpClient(major: number): Promise<{ path: string; version: string; notices: string[] }>;
  /** What brings a server up on a site, for people. Throws ToolMissing. */
  server(major: number): Promise<string>;
  /** other programs that backups are made with, and the arguments that make each tell its version */
  readonly tools: readonly { program: Pinned; args: readonly string[] }[];
}

export const PROGRAMS: Partial<Record<EngineKind, EnginePrograms>> = {
  postgres: postgresPrograms,
  mysql: mysqlPrograms,
};
