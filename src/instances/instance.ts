import { z } from 'zod';
import { ENGINE_KINDS } from '../model/engine.ts';

/** The workflow run an instance is for: when that is closed, nobody needs the instance any more. */
const ownerSchema = z.strictObject({ workflowId: z.string(), runId: z.string() });

/** What is known of a restored server: `instance.json` in its directory. Times are ISO 8601 in UTC. */
export const instanceSchema = z.strictObject({
  id: z.string(),
  site: z.string(),
  host: z.string(),
  database: z.string(),
  engine: z.enum(ENGINE_KINDS),
  owner: ownerSchema,
  createdAt: z.string(),
  expiresAt: z.string(),
  /** everything of the instance lies under it, save the sockets where its path is too long for them */
  directory: z.string(),
  /** operating-system user of its processes; null: the worker's own */
  user: z.string().nullable(),
  /** without a password */
  url: z.string().nullable(),
  /** handed over to a person until it expires: it outlives its owner */
  kept: z.boolean(),
  /**
   * left out: an instance. `candidate`: it was moved to where production servers live and may become one; it expires
   * as an instance does. `production`: nobody removes it
   */
  role: z.enum(['candidate', 'production']).optional(),
});
export type InstanceRecord = z.infer<typeof instanceSchema>;

export interface InstanceRequest {
  /** chosen by the workflow, so that a retry names the same instance */
  id: string;
  database: string;
  engine: InstanceRecord['engine'];
  owner: InstanceRecord['owner'];
  expiresAt: string;
}

export type InstanceChange = Partial<Pick<InstanceRecord, 'owner' | 'expiresAt' | 'url' | 'kept' | 'role'>>;

/** Where restored servers live. Every method may be repeated after a kill at any point. */
export interface InstanceStore {
  /** Makes the place of a server. The same id again gives the same instance. */
  provision(request: InstanceRequest): Promise<InstanceRecord>;
  find(id: string): Promise<InstanceRecord | null>;
  list(): Promise<InstanceRecord[]>;
  /** Throws InstanceLost where there is none. */
  update(id: string, change: InstanceChange): Promise<InstanceRecord>;
  /**
   * Moves a stopped instance to where production servers live, and gives it to their user: a candidate from then on,
   * found under the same id. Moved already is success. Throws InstanceLost, InvalidConfiguration where that is another disk.
   */
  moveToProduction(id: string, user: string): Promise<InstanceRecord>;
  /** Ends its processes through `stop`, then removes all of it. False: there was none, which is success. Throws DatabaseBusy for production. */
  remove(id: string, actions: { stop: (record: InstanceRecord) => Promise<void> }): Promise<boolean>;
  /** Free bytes on the site's disk. */
  space(): Promise<number>;
  /** Throws NotEnoughSpace where a restore of this size would leave less than the site's reserve. */
  requireSpace(bytes: number): Promise<void>;
}
