import { z } from 'zod';
import { durationSchema } from '../model/duration.ts';
import type { Topology } from '../model/topology.ts';
import { approvalSchema } from './schema/approval.ts';
import { databaseSchema } from './schema/database.ts';
import { notifySchema } from './schema/notify.ts';
import { name } from './schema/primitives.ts';
import { repositorySchema } from './schema/repository.ts';

/** What can be pinned to a version. */
export const PINNED = [
  'node',
  'temporal',
  'zstd',
  'postgres',
  'pg_dump',
  'pgbackrest',
  'mysql',
  'mariadb',
  'mysqldump',
] as const;

export const configSchema = z.strictObject({
  version: z.literal(1),
  temporal: z
    .strictObject({
      /** a profile of Temporal's own client configuration; TEMPORAL_* variables override it */
      profile: z.string().optional(),
      configFile: z.string().optional(),
      /** address of the Temporal UI, for links to a run's page */
      ui: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
    })
    .default({}),
  repository: repositorySchema,
  hosts: z.record(name, z.strictObject({})),
  sites: z.record(
    name,
    z.strictObject({
      /** hosts of this site whose workers provision instances */
      hosts: z.array(name).min(1),
      directory: z.string().min(1),
      /** operating-system user of restored servers: without rights on production's directories */
      user: z.string().min(1).default('holdfast-restore'),
      /** free bytes that a restore must leave on the site's disk */
      reserveBytes: z.number().int().min(0).default(1_073_741_824),
      /** how long an instance may live that nobody asked to keep */
      instanceLifetime: durationSchema.default('24h'),
      /** where servers that took a database over live: on the disk of `directory`. Default: `production` beside it */
      production: z.string().min(1).optional(),
    }),
  ),
  /**
   * where programs are, by major version (`15`) or series (`8.0`, `mariadb-10.11`); default:
   * `.tools/postgres/15/bin`, `.tools/mysql/8.0/bin` and alike, Debian's folders and PATH
   */
  tools: z
    .strictObject({
      postgres: z.record(z.string(), z.string()).optional(),
      mysql: z.record(z.string(), z.string()).optional(),
    })
    .default({}),
  approval: z
    .strictObject({
      import: approvalSchema.prefault({}),
      /** of a disaster recovery: before anything is done, and before clients are switched. `none`: this line approves */
      disaster: z
        .union([z.literal('none'), approvalSchema], {
          error: 'must be none, or {people, requesterMayApprove, approvers, timeLimit}',
        })
        .prefault({}),
    })
    .prefault({}),
  notify: notifySchema.prefault({}),
  /** where a worker answers Prometheus, `host:port`. Left out: nowhere */
  metrics: z
    .strictObject({
      listen: z
        .string()
        .regex(/^(?:\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must be host:port, for instance 127.0.0.1:9464'),
    })
    .optional(),
  /** where runs are traced to: an OTLP/HTTP endpoint. Left out: nowhere */
  tracing: z.strictObject({ otlp: z.url({ protocol: /^https?$/ }) }).optional(),
  /** versions that `holdfast doctor` holds programs and servers to: `15` allows 15.x, `15.19` only that */
  versions: z.partialRecord(z.enum(PINNED), z.string().min(1)).default({}),
  /** where secrets may be, and how old a file with one may get before `holdfast doctor` says so */
  secrets: z
    .strictObject({
      places: z
        .array(z.enum(['env', 'file']))
        .min(1)
        .default(['env', 'file']),
      rotateAfter: durationSchema.optional(),
    })
    .prefault({}),
  /** how long a parked runbook waits for `resume` before it gives up and cleans up */
  parkLimit: durationSchema.default('24h'),
  /** how long a step waits for a worker on its queue before it says that nobody serves it */
  noWorkerAfter: durationSchema.default('1m'),
  /** how long a worker may be silent before its step is run again, by itself or another: a killed one is found so */
  workerLostAfter: durationSchema.default('20s'),
  databases: z.record(name, databaseSchema),
});

export type DatabaseConfig = z.infer<typeof databaseSchema> & {
  /** where it lives since a disaster recovery moved it: from the repository (`withTopology`), never from the file */
  topology?: Topology;
};
export type Config = Omit<z.infer<typeof configSchema>, 'databases'> & {
  databases: Record<string, DatabaseConfig>;
};
export type RepositoryConfig = Config['repository'];
