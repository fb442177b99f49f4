import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';

const TEN_YEARS_MS = 10 * 365 * 86_400_000;

/**
 * A private certificate authority and a certificate for this machine's loopback names, made once per directory:
 * `ca.crt` for clients, `certs/public.crt` and `certs/private.key` as MinIO wants them.
 */
export async function loopbackCertificate(
  directory: string,
): Promise<{ caFile: string; certsDirectory: string }> {
  const caFile = join(directory, 'ca.crt');
  const certsDirectory = join(directory, 'certs');
  if (existsSync(caFile)) return { caFile, certsDirectory };
  const validity = {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 86_400_000),
    notAfterDate: new Date(Date.now() + TEN_YEARS_MS),
  } as const;
  const authority = await generate([{ name: 'commonName', value: 'Holdfast development' }], {
    ...validity,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...validity,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        // pgBackRest compares DNS names only, so the address has to be one of those as well.
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 2, value: '127.0.0.1' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  await mkdir(certsDirectory, { recursive: true });
  await writeFile(join(certsDirectory, 'public.crt'), server.cert);
  await writeFile(join(certsDirectory, 'private.key'), server.private, { mode: 0o600 });
  await writeFile(caFile, authority.cert);
  return { caFile, certsDirectory };
}
