import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { loopbackCertificate } from '../../../src/client/dev/s3-certificate.ts';

export interface AwsObject {
  storageClass: string;
  /** what HEAD answers beside it */
  headers: Record<string, string>;
  /** the code of the refusal that RestoreObject answers; left out: it is done */
  refusal?: { status: number; code: string };
}

/** Answers about archived objects as AWS documents it, where moto does not: one folder of objects, and what was asked of them. */
export async function startAwsLike(directory: string, objects: Record<string, AwsObject>) {
  const { caFile, certsDirectory } = await loopbackCertificate(directory);
  const requests: { key: string; body: string }[] = [];
  const server = createServer(
    {
      cert: await readFile(join(certsDirectory, 'public.crt')),
      key: await readFile(join(certsDirectory, 'private.key')),
    },
    async (request, answer) => {
      const url = new URL(request.url ?? '/', 'https://localhost');
      const key = decodeURIComponent(url.pathname.split('/').slice(2).join('/'));
      const object = objects[key];
      let body = '';
      for await (const piece of request) body += piece;
      if (request.method === 'GET') {
        const prefix = url.searchParams.get('prefix') ?? '';
        const listed = url.searchParams.has('delimiter')
          ? ''
          : Object.entries(objects)
              .filter(([name]) => name.startsWith(prefix))
              .map(
                ([name, { storageClass }]) =>
                  `<Contents><Key>${name}</Key><Size>1000</Size><StorageClass>${storageClass}</StorageClass></Contents>`,
              )
              .join('');
        answer.end(
          `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${listed}</ListBucketResult>`,
        );
      } else if (object === undefined) {
        answer.writeHead(404).end();
      } else if (request.method === 'HEAD') {
        answer.writeHead(200, { 'x-amz-storage-class': object.storageClass, ...object.headers }).end();
      } else {
        requests.push({ key, body });
        const { refusal } = object;
        if (refusal === undefined) answer.writeHead(202).end();
        else
          answer
            .writeHead(refusal.status)
            .end(`<?xml version="1.0"?><Error><Code>${refusal.code}</Code></Error>`);
      }
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caFile,
    /** of RestoreObject */
    requests,
    async end() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
