import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withConnection } from '../../src/engines/mysql/connection.ts';
import { userIds } from '../../src/engines/process.ts';
import type { ServerAccess } from '../../src/model/access.ts';
import { type MysqlServer, quietly, SERIES, startMysql } from './mysql-server.ts';

/** A certificate for these names and addresses, which is its own authority. */
async function certify(server: MysqlServer, name: string, alternatives: object[]) {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    keySize: 2048,
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: alternatives as never },
    ],
  });
  const files = { cert: join(server.directory, `${name}.pem`), key: join(server.directory, `${name}.key`) };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key, { mode: 0o600 });
  if (server.systemUser !== null) {
    const { uid, gid } = userIds(server.systemUser);
    await chown(files.key, uid, gid);
  }
  return { ca: cert, settings: { 'ssl-cert': files.cert, 'ssl-key': files.key, 'ssl-ca': files.cert } };
}

describe.each(SERIES)('TLS to %s', (series) => {
  let server: MysqlServer;
  let user: ServerAccess;
  beforeAll(async () => {
    server = await startMysql({ series });
    user = await server.makeUser('over_tls', 'USAGE');
    await server.query("ALTER USER 'over_tls'@'127.0.0.1' REQUIRE SSL");
  });
  afterAll(() => server?.end());

  const cipherOf = (access: ServerAccess) =>
    withConnection(access, quietly, async (session) => {
      const [row] = await session.query<Record<string, string>>("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
      return row?.Value;
    });

  test('a certificate is verified, and who it is for', async () => {
    const named = await certify(server, 'db.example', [{ type: 2, value: 'db.example' }]);
    const other = await certify(server, 'other', [{ type: 2, value: 'other.example' }]);
    await server.restart(named.settings);
    const { ca } = named;
    expect(await cipherOf({ ...user, tls: { ca, serverName: 'db.example' } })).toMatch(/AES|CHACHA/);
    const failed = { type: 'ConnectionFailed' };
    // An unknown authority, another name, and an address that the certificate does not have.
    const wrong: ServerAccess['tls'][] = [
      { ca: null, serverName: 'db.example' },
      { ca: other.ca, serverName: 'db.example' },
      { ca, serverName: 'other.example' },
      { ca, serverName: null },
    ];
    for (const tls of wrong) await expect(cipherOf({ ...user, tls })).rejects.toMatchObject(failed);
    await expect(cipherOf({ ...user, tls: null })).rejects.toMatchObject({ type: 'AuthenticationFailed' });
  });

  test('a server that is known by its address is checked against the address', async () => {
    const local = await certify(server, 'local', [{ type: 2, value: 'localhost' }]);
    await server.restart(local.settings);
    const byAddress = { ...user, tls: { ca: local.ca, serverName: null } };
    await expect(cipherOf(byAddress)).rejects.toMatchObject({ type: 'ConnectionFailed' });
    const address = await certify(server, 'address', [{ type: 7, ip: '127.0.0.1' }]);
    await server.restart(address.settings);
    expect(await cipherOf({ ...user, tls: { ca: address.ca, serverName: null } })).toMatch(/AES|CHACHA/);
  });
});
