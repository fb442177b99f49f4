import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ShopSection } from './configuration.ts';
import type { S3Facts } from './s3.ts';
import { type ShopKind, writePrivate } from './state.ts';

export interface ShopPlace {
  /** of the environment */
  directory: string;
  kind: ShopKind;
  port: number;
}

/** The sample database of an environment: all that differs between engines. */
export interface Shop {
  /** Starts its server where it was set up, and leaves one that runs alone. */
  start(place: ShopPlace, s3: S3Facts, signal: AbortSignal): Promise<RunningShop>;

  /** Ends its server; not running is success. */
  stop(directory: string): Promise<void>;

  /** The pid of its server, where it runs. */
  pid(directory: string): Promise<number | null>;

  /** Creates its tables and rows. Does nothing where they exist already. */
  fill(url: string, options: { orders: number; signal: AbortSignal }): Promise<void>;

  /** `second`: where the second site would listen if it took it over; null: there is none */
  section(place: ShopPlace, second: { takeoverPort: number } | null): Promise<ShopSection>;

  /** so that there is something to recover from at once, in this order */
  readonly firstBackups: readonly ('full' | 'logical')[];
}

export interface RunningShop {
  pid: number;
  /** of the user that Holdfast's workers are, with its password */
  url: string;
  /** what an application is given */
  applicationUrl: string;
}

/** Loaded when it is needed: what is asked of the state alone has to be quick. */
export async function shopOf(kind: ShopKind): Promise<Shop> {
  switch (kind) {
    case 'postgres':
      return (await import('./postgres-shop.ts')).postgresShop;
    case 'mysql':
    case 'mariadb':
      return (await import('./mysql-shop.ts')).mysqlShop;
  }
}

/** The secret of a file; made up the first time. */
export async function secretIn(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const secret = randomBytes(24).toString('base64url');
    await writePrivate(file, secret);
    return secret;
  }
}
