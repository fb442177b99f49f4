import { request } from 'node:http';
import { isAws } from '../policies.ts';
import type { Attempt } from './attempt.ts';

const PATIENCE_MS = 3_000;

/**
 * Whether the endpoint speaks without TLS at all. Nobody's credentials go over such a line, so that of AWS, which does speak
 * it, only the bucket's policy tells: the comparison of settings looks at that.
 */
export const plainHttp: Attempt = async ({ config }) => {
  if (isAws(config)) return [];
  const { hostname, port } = new URL(config.endpoint as string);
  const status = await statusOf({ hostname, port, path: `/${config.bucket}` });
  const check = 'plain http';
  // A server that keeps to TLS answers 400, one that sends everybody there 301; S3 itself says 403 to a visitor.
  const isSpoken = status !== null && (status < 300 || status === 403);
  if (!isSpoken) {
    const detail = status === null ? 'nobody answers' : `refused (${status})`;
    return [{ check, ok: true, detail, hint: null }];
  }
  return [
    {
      ...{ check, ok: false },
      detail: `${hostname} speaks S3 without TLS: whoever is on the line reads the backups`,
      hint: 'serve the endpoint over TLS only',
    },
  ];
};

/** Null: it does not speak http there, or not in time. */
function statusOf(where: { hostname: string; port: string; path: string }): Promise<number | null> {
  return new Promise((resolve) => {
    const asked = request({ ...where, method: 'HEAD', timeout: PATIENCE_MS }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? null);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(null));
    asked.end();
  });
}
