import type { Topology } from '../model/topology.ts';
import type { Config, DatabaseConfig } from './schema.ts';

/**
 * The configuration with every database where it lives now: what describes, connects to, backs up or schedules a
 * database needs no other knowledge of a disaster recovery. Pure, and the same again on its own result.
 */
export function withTopology(config: Config, topologies: readonly Topology[]): Config {
  const moved = topologies.flatMap((topology): [string, DatabaseConfig][] => {
    const { database: name } = topology;
    const database = Object.hasOwn(config.databases, name) ? config.databases[name] : undefined;
    return database === undefined ? [] : [[name, livingAt(database, topology)]];
  });
  return moved.length === 0
    ? config
    : { ...config, databases: { ...config.databases, ...Object.fromEntries(moved) } };
}

function livingAt(database: DatabaseConfig, topology: Topology): DatabaseConfig {
  const { host, address, stanza, dataDirectory, socketDirectory, systemUser } = topology;
  // The log in the file is that of the server that was left.
  const { log: _, ...postgres } = database.postgres ?? {};
  return {
    ...database,
    host,
    connection: { ...database.connection, ...address },
    postgres: { ...postgres, stanza, dataDirectory, socketDirectory, systemUser },
    topology,
  };
}
