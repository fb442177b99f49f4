import { z } from 'zod';

/** Where an application reaches a database server. */
const addressSchema = z.strictObject({ host: z.string().min(1), port: z.number().int() });
export type Address = z.infer<typeof addressSchema>;

/** A place where the database lived before a disaster recovery moved it. */
const formerSchema = z.strictObject({
  stanza: z.string(),
  /** a key of `hosts` */
  host: z.string(),
  address: addressSchema,
  /** ISO 8601: nothing that this place archived later belongs to the database's history */
  until: z.string(),
  /** the timeline that it was on when it was left */
  timeline: z.number().int(),
});
export type FormerPlace = z.infer<typeof formerSchema>;

/**
 * `topology/<database>.json`: where the database lives since a disaster recovery moved it. Without the file it lives
 * where the configuration says.
 */
export const topologySchema = z.strictObject({
  formatVersion: z.literal(1),
  database: z.string(),
  /** workflow id of the disaster recovery */
  by: z.string(),
  /** ISO 8601 */
  at: z.string(),
  site: z.string(),
  /** a key of `hosts`: its queue has the database's own work from now on */
  host: z.string(),
  address: addressSchema,
  stanza: z.string(),
  dataDirectory: z.string(),
  socketDirectory: z.string(),
  systemUser: z.string(),
  systemIdentifier: z.string(),
  timeline: z.number().int(),
  /** newest first */
  former: z.array(formerSchema),
});
export type Topology = z.infer<typeof topologySchema>;

/** `10.1.0.5:5432`, `[fd00::5]:5432`. */
export const formatAddress = ({ host, port }: Address): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
