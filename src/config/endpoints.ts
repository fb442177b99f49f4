import type { EndpointConfig } from './schema/endpoint.ts';

/** An endpoint for people: its kind and its place, nothing secret. */
export function describeEndpoint(endpoint: EndpointConfig): string {
  if ('file' in endpoint) {
    const { path } = endpoint.file;
    return 'service' in endpoint.file ? `file ${path} [${endpoint.file.service}]` : `file ${path}`;
  }
  if ('pgbouncer' in endpoint) return `pgbouncer ${endpoint.pgbouncer.ini} [${endpoint.pgbouncer.database}]`;
  if ('secretsManager' in endpoint) return `secret ${endpoint.secretsManager.secretId}`;
  return `command ${endpoint.command.set[0]}`;
}
