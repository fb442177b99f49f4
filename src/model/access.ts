/** How to reach a server, secrets resolved. Never logged, never in a history. */
export interface ServerAccess {
  /** host name, address, or a directory with the server's socket */
  host: string;
  port: number;
  user: string;
  password: string | null;
  database: string;
  /** null: plain, accepted on loopback and sockets only */
  tls: { ca: string | null; serverName: string | null } | null;
}
