import { z } from 'zod';
import { durationSchema } from '../../model/duration.ts';
import { port, program, secretReferenceSchema } from './primitives.ts';

/** How applications find the database: what disaster recovery switches to the new server. */
export const endpointSchema = z.union(
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
