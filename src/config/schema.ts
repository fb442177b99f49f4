import { z } from 'zod';
import { THAW_TIERS } from '../model/archive.ts';
import { DEFAULT_BOUNDS } from '../model/bounds.ts';
import { parseCron } from '../model/cron.ts';
import { durationSchema } from '../model/duration.ts';
import { ENGINE_KINDS } from '../model/engine.ts';
import { CLASSES, type DatabaseClass } from '../model/objective.ts';
import type { Topology } from '../model/topology.ts';

/** A secret is only ever named: an environment variable or a file, read where and when it is used. */
export const secretReferenceSchema = z.union(
  [z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
  { error: 'must be {env: NAME} or {file: path}: a secret is never written here itself' },
);
export type SecretReference = z.infer<typeof secretReferenceSchema>;

const credentialsSchema = z.strictObject({
  accessKeyId: secretReferenceSchema,
  secretAccessKey: secretReferenceSchema,
  sessionToken: secretReferenceSchema.optional(),
});

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower case letters, digits and dashes, at most 63');

const classSchema = z.enum(Object.keys(CLASSES) as [DatabaseClass, ...DatabaseClass[]]);

/** How many different people have to approve; 0: this policy itself approves, in writing. */
const people = z.number().int().min(0).max(10);
const approvers = z.array(z.string().min(1));
export const approvalSchema = z.strictObject({
  people: people.default(1),
  requesterMayApprove: z.boolean().default(false),
  /** empty: anyone */
  approvers: approvers.default([]),
  timeLimit: durationSchema.default('24h'),
});
/** What a database sets differently: without defaults, which zod would apply in a partial schema too. */
const approvalOverrideSchema = z.strictObject({
  people: people.optional(),
  requesterMayApprove: z.boolean().optional(),
  approvers: approvers.optional(),
  timeLimit: durationSchema.optional(),
});

const cron = z.string().superRefine((text, context) => {
  try {
    parseCron(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: `${(error as Error).message} (five fields, in UTC)` });
  }
});

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

/** A program and its arguments: never a shell's command line. */
const program = z.array(z.string().min(1)).min(1);
const port = z.number().int().min(1).max(65_535);

/** How applications find the database: what disaster recovery switches to the new server. */
const endpointSchema = z.union(
  [
    /** a file that applications read: of its host and port, and nothing else, the new server's are written */
    z.strictObject({
      file: z.union([
        /** a line `KEY=postgresql://user:password@host:port/db` */
        z.strictObject({ path: z.string().min(1), url: z.string().min(1), reload: program.optional() }),
        /** two lines `KEY=value` */
        z.strictObject({
          path: z.string().min(1),
          host: z.string().min(1),
          port: z.string().min(1),
          reload: program.optional(),
        }),
        /** a section of libpq's connection service file */
        z.strictObject({ path: z.string().min(1), service: z.string().min(1), reload: program.optional() }),
      ]),
    }),
    z.strictObject({
      pgbouncer: z.strictObject({
        /** its ini file, with the entry in section `[databases]` */
        ini: z.string().min(1),
        /** name of the entry */
        database: z.string().min(1),
        /** its admin console, to reload and to read back what it uses */
        admin: z.strictObject({
          host: z.string().min(1),
          port,
          user: z.string().min(1),
          password: secretReferenceSchema.optional(),
        }),
      }),
    }),
    z.strictObject({
      secretsManager: z.strictObject({
        /** name or ARN of a secret whose text is a JSON object with `host` and `port` */
        secretId: z.string().min(1),
        region: z.string().min(1),
        /** left out: AWS itself */
        endpoint: z.url({ protocol: /^https?$/ }).optional(),
      }),
    }),
    z.strictObject({
      command: z.strictObject({
        /** prints `host:port`, what is set now; nothing where nothing is */
        get: program,
        /** sets HOLDFAST_HOST and HOLDFAST_PORT of its environment */
        set: program,
        timeout: durationSchema.default('1m'),
      }),
    }),
  ],
  {
    error:
      'must be {file: {path, url | host and port | service, reload}}, {pgbouncer: {ini, database, admin}}, {secretsManager: {secretId, region}} or {command: {get, set}}',
  },
);
export type EndpointConfig = z.infer<typeof endpointSchema>;

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
      /** the operating-system user that owns the files */
      systemUser: z.string().min(1).default('postgres'),
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

const channelSchema = z.union(
  [
    /** a Slack-compatible incoming webhook: its address is the secret */
    z.strictObject({ slack: z.strictObject({ url: secretReferenceSchema }) }),
    z.strictObject({
      webhook: z.strictObject({ url: secretReferenceSchema, secret: secretReferenceSchema }),
    }),
    z.strictObject({
      sns: z.strictObject({
        topicArn: z.string().regex(/^arn:[\w-]+:sns:/, 'must be the ARN of an SNS topic'),
        region: z.string().min(1),
        /** left out: AWS itself */
        endpoint: z.url({ protocol: /^https?$/ }).optional(),
      }),
    }),
  ],
  { error: 'must be {slack: {url}}, {webhook: {url, secret}} or {sns: {topicArn, region}}' },
);
export type ChannelConfig = z.infer<typeof channelSchema>;

/** Who hears of failures, of decisions that wait, and of what should have run and did not. */
const notifySchema = z.strictObject({
  channels: z.array(channelSchema).default([]),
  /** people are reminded this long before a decision expires */
  expiresBefore: durationSchema.default('1h'),
  /** an address that the watchdog calls whenever it has run: who hears nothing from it knows that nobody watches */
  deadManSwitch: secretReferenceSchema.optional(),
});

/** How what lies in an archive class of S3 (GLACIER, DEEP_ARCHIVE) is brought back before a restore. */
export const thawSchema = z.strictObject({
  /** the faster, the dearer; what the deep archives cannot bring back expedited comes back with Standard */
  tier: z.enum(THAW_TIERS).default('Standard'),
  /** how long the copies can be read: whole days */
  keep: durationSchema.default('7d'),
  lookEvery: durationSchema.default('10m'),
  timeLimit: durationSchema.default('72h'),
});

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
  repository: z.strictObject({
    /** left out: AWS itself */
    endpoint: z.url({ protocol: /^https$/, error: 'must be an https URL' }).optional(),
    region: z.string().min(1),
    bucket: z.string().min(3).max(63),
    prefix: z
      .string()
      .regex(/^([a-zA-Z0-9._-]+\/)*$/, 'must be empty or end with a slash')
      .default(''),
    pathStyle: z.boolean().default(false),
    caFile: z.string().optional(),
    /** left out: the AWS default chain (instance role, SSO, variables) */
    credentials: credentialsSchema.optional(),
    /** read-only; instances and restores use these. Left out: `credentials` are used, and plans say so */
    restoreCredentials: credentialsSchema.optional(),
    kmsKeyId: z.string().min(1).optional(),
    /** passphrase of pgBackRest's own encryption of everything under pgbackrest/ */
    cipher: secretReferenceSchema.optional(),
    /** why a database may lie in the repository's own region: without a reason that is refused */
    allowSameRegion: z.string().min(1).optional(),
    lock: z.strictObject({ mode: z.enum(['COMPLIANCE', 'GOVERNANCE']) }).optional(),
    thaw: thawSchema.optional(),
  }),
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
  /** where server programs are, by major version; default: `.tools/postgres/<major>/bin`, Debian's and PATH */
  tools: z.strictObject({ postgres: z.record(z.string(), z.string()).optional() }).default({}),
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
