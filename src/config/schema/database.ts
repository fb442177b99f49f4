import { z } from 'zod';
import { DEFAULT_BOUNDS } from '../../model/bounds.ts';
import { durationSchema } from '../../model/duration.ts';
import { ENGINE_KINDS } from '../../model/engine.ts';
import { CLASSES, type DatabaseClass } from '../../model/objective.ts';
import { approvalOverrideSchema } from './approval.ts';
import { endpointSchema } from './endpoint.ts';
import { cron, name, port, program, secretReferenceSchema } from './primitives.ts';

const classSchema = z.enum(Object.keys(CLASSES) as [DatabaseClass, ...DatabaseClass[]]);

/** Tiers are derived from the objectives; what is set here by hand is checked against them. */
const tiersSchema = z.strictObject({
  /** how old the newest archived log may become: the archive is forced on when the server is idle */
  log: z
    .union([z.literal('off'), z.strictObject({ maxAge: durationSchema.optional() })], {
      error: 'must be off, or {maxAge: <duration>}',
    })
    .optional(),
  logical: z
    .union(
      [
        z.literal('off'),
        z.strictObject({ schedule: cron.optional(), fingerprints: z.boolean().default(true) }),
      ],
      { error: 'must be off, or {schedule: <cron>, fingerprints: true or false}' },
    )
    .optional(),
  physical: z
    .union(
      [
        z.literal('off'),
        z.strictObject({ full: cron.optional(), diff: z.union([z.literal('off'), cron]).optional() }),
      ],
      { error: 'must be off, or {full: <cron>, diff: <cron> or off}' },
    )
    .optional(),
  snapshot: z
    .union(
      [
        z.literal('off'),
        z.strictObject({
          /** when it is looked for the month's first verified backup */
          schedule: cron.optional(),
          /** of which tier; left out: physical, where there is one */
          of: z.enum(['physical', 'logical']).optional(),
        }),
      ],
      { error: 'must be off, or {schedule: <cron>, of: physical or logical}' },
    )
    .optional(),
});

const retentionSchema = z.strictObject({
  log: durationSchema.default('7d'),
  logical: durationSchema.default('30d'),
  physical: durationSchema.default('90d'),
  snapshot: durationSchema.default('1y'),
  /** how long an import can be taken back */
  undo: durationSchema.default('30d'),
});

const healthSchema = z.union(
  [
    z.strictObject({ sql: z.string().min(1), timeout: durationSchema.default('5m') }),
    z.strictObject({ http: z.url({ protocol: /^https?$/ }), timeout: durationSchema.default('30s') }),
    z.strictObject({ command: z.array(z.string().min(1)).min(1), timeout: durationSchema.default('5m') }),
  ],
  {
    error:
      'must be {sql: <query>}, {http: <url>} or {command: [<program>, …]}, each with a timeout or without',
  },
);
export type HealthCheck = z.infer<typeof healthSchema>;

/** The daily verification: backups count only after a restore. */
const verifySchema = z.strictObject({
  schedule: cron.optional(),
  /** rows that matter most: of the newest ones there have to be as many as production has of that time */
  highValue: z
    .array(
      z.strictObject({
        table: z.string().min(1),
        /** a column of the time when a row was written */
        recent: z.string().min(1),
        within: durationSchema.default('24h'),
      }),
    )
    .default([]),
  /** how far production's counts may be from the copy's before the verdict is `inconclusive`: the larger of the two */
  bounds: z
    .strictObject({
      percent: z.number().min(0).max(100).default(DEFAULT_BOUNDS.percent),
      rows: z.number().int().min(0).default(DEFAULT_BOUNDS.rows),
    })
    .prefault({}),
  /** what has to hold of the restored copy: an application's own questions */
  health: z.array(healthSchema).default([]),
});

/** How a database lives at a site that takes it over. */
const takeoverSchema = z.strictObject({
  /** where clients reach the new server */
  address: z.string().min(1),
  port: port.default(5432),
  /** its listen_addresses; default: the address */
  listen: z.string().min(1).optional(),
  /** lines of pg_hba.conf for its clients */
  hba: z.array(z.string().min(1)).default(['host all all samenet scram-sha-256']),
  /** further settings of the server, such as shared_buffers; Holdfast's own are refused */
  settings: z
    .record(z.string().regex(/^[a-z_][a-z0-9_.]*$/i), z.union([z.string(), z.number(), z.boolean()]))
    .default({}),
  /** PEM files on the site's hosts, readable for the server's user */
  tls: z.strictObject({ certFile: z.string().min(1), keyFile: z.string().min(1) }).optional(),
});
export type TakeoverConfig = z.infer<typeof takeoverSchema>;

const tlsSchema = z.union(
  [z.literal('off'), z.strictObject({ caFile: z.string().optional(), serverName: z.string().optional() })],
  { error: 'must be off, or {caFile: <path>, serverName: <name>}' },
);

export const databaseSchema = z.strictObject({
  engine: z.enum(ENGINE_KINDS),
  class: z
    .union([classSchema, z.array(classSchema).min(1)], {
      error: `must be one of ${Object.keys(CLASSES).join(', ')}, or a list of them`,
    })
    .optional(),
  objectives: z.strictObject({ rpo: durationSchema.optional(), rto: durationSchema.optional() }).optional(),
  /** the host (a key of `hosts`) where the database's files are: physical backups and logs run there */
  host: name,
  region: z.string().optional(),
  connection: z.strictObject({
    host: z.string().min(1),
    port: z.number().int().min(1).max(65_535),
    user: z.string().min(1),
    password: secretReferenceSchema.optional(),
    /** where tables are looked for when a name does not start with a db */
    database: z.string().min(1),
    /** left out: verified against the system's authorities, plain on loopback; sockets never use it */
    tls: tlsSchema.optional(),
  }),
  postgres: z
    .strictObject({
      /** pgBackRest's name for this cluster; default: the database's name here */
      stanza: z.string().min(1).optional(),
      dataDirectory: z.string().min(1),
      socketDirectory: z.string().min(1).optional(),
      /** the server's log, where logging_collector is off: an archiver's own words are in it */
      log: z.string().min(1).optional(),
      /** the operating-system user that owns the files */
      systemUser: z.string().min(1).default('postgres'),
    })
    .optional(),
  mysql: z
    .strictObject({
      /** the folder of its binary logs on the host; left out: they are read through the server, by its own mysqlbinlog */
      logDirectory: z.string().min(1).optional(),
    })
    .optional(),
  tiers: tiersSchema.default({}),
  retention: retentionSchema.prefault({}),
  verify: z
    .union([z.literal('off'), verifySchema], {
      error: 'must be off, or {schedule, highValue, bounds, health}',
    })
    .prefault({}),
  drill: z
    .union([z.literal('off'), z.strictObject({ schedule: cron.optional() })], {
      error: 'must be off, or {schedule: <cron>}',
    })
    .prefault({}),
  approval: approvalOverrideSchema.optional(),
  /** by site: how the database lives there after a disaster */
  takeover: z.record(name, takeoverSchema).default({}),
  /** makes sure that the old server cannot be written to any more; left out: whoever approves says so */
  fence: z.strictObject({ command: program, timeout: durationSchema.default('5m') }).optional(),
  endpoints: z.array(endpointSchema).default([]),
});
