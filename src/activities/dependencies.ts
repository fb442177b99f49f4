import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/load.ts';
import type { Engine } from '../engines/engine.ts';
import type { EngineKind } from '../model/engine.ts';
import type { Metrics } from '../model/metric.ts';

/** What activities are made from; tests give their own. */
export interface Dependencies {
  config: LoadedConfig;
  client: Client;
  engines: Partial<Record<EngineKind, Engine>>;
  logger: Logger;
  metrics: Metrics;
  /** the host (a key of `hosts`) that this worker runs on */
  host: string;
}
