import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** One round of the application that was answered: it wrote a row and read. */
export interface Answered {
  /** milliseconds since 1970 */
  at: number;
  /** `<system identifier>/<timeline>` of the server that answered: a recovered server has the old one's identifier */
  server: string;
}

/** A real client that works all the time and reconnects whenever it is thrown out. */
export interface Application {
  readonly answered: Answered[];
  /** rounds that failed, and why */
  readonly failed: { at: number; message: string }[];
  /** waits for the first answer of a server that `is` names, at or after a moment */
  firstAnswer(is: (server: string) => boolean, since?: number): Promise<Answered>;
  /** milliseconds from a moment to the first answer of such a server */
  downtime(from: number, is: (server: string) => boolean): Promise<number>;
  end(): Promise<void>;
}

const ROUND_MS = 50;
/** As a careful application would have it: a server that died without a word is noticed. */
const ANSWER_LIMIT_MS = 2_000;
const PATIENCE_MS = 100_000;

/**
 * Starts the application. It asks for its connection string at each connect, as one does that reads it from a file.
 * Its table is made by it: `application_rounds`.
 */
export async function startApplication(url: () => string | Promise<string>): Promise<Application> {
  const answered: Answered[] = [];
  const failed: { at: number; message: string }[] = [];
  let ended = false;
  const work = (async () => {
    let client: pg.Client | null = null;
    while (!ended) {
      try {
        client ??= await open(await url());
        const server = await round(client);
        answered.push({ at: Date.now(), server });
      } catch (error) {
        failed.push({ at: Date.now(), message: (error as Error).message });
        // Not waited for: a server that is gone answers no farewell either.
        client?.end().catch(() => {});
        client = null;
      }
      await sleep(ROUND_MS);
    }
    await client?.end().catch(() => {});
  })();
  const application: Application = {
    answered,
    failed,
    async firstAnswer(is, since = 0) {
      const until = Date.now() + PATIENCE_MS;
      for (;;) {
        const found = answered.find(({ at, server }) => at >= since && is(server));
        if (found !== undefined) return found;
        if (Date.now() > until) throw new Error(`no answer: ${JSON.stringify(failed.at(-1))}`);
        await sleep(20);
      }
    },
    downtime: async (from, is) => (await application.firstAnswer(is, from)).at - from,
    async end() {
      ended = true;
      await work;
    },
  };
  return application;
}

async function open(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: ANSWER_LIMIT_MS,
    query_timeout: ANSWER_LIMIT_MS,
  });
  client.on('error', () => {});
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS application_rounds (at timestamptz NOT NULL DEFAULT now())');
  return client;
}

async function round(client: pg.Client): Promise<string> {
  await client.query('INSERT INTO application_rounds DEFAULT VALUES');
  const { rows } = await client.query<{ server: string }>(
    `SELECT (pg_control_system()).system_identifier || '/' ||
       ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int AS server
     FROM application_rounds LIMIT 1`,
  );
  return rows[0]?.server ?? '';
}
