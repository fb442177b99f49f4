import { HoldfastError } from '../model/failure.ts';

interface S3Failure extends Error {
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

const CREDENTIALS = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'InvalidAccessKeyId',
  'InvalidToken',
  'InvalidTokenId',
  'SignatureDoesNotMatch',
  'CredentialsProviderError',
]);
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)/;

/** Whether the same request may succeed later: S3 is away or overloaded, not: it said no. */
export function isTransient(error: unknown): boolean {
  const { name, code, $metadata } = error as S3Failure;
  if (CREDENTIALS.has(name) || name === 'AbortError' || CERTIFICATE.test(code ?? '')) return false;
  if (name === 'NotImplemented') return false;
  // Two conditional writes of a key at once: asked again, one of them finds the other's object.
  if (name === 'ConditionalRequestConflict') return true;
  const status = $metadata?.httpStatusCode;
  // A status below 400 comes with an error when the answer broke off in the middle.
  if (status === undefined || status < 400) return isFromNetwork(error as S3Failure);
  return status >= 500 || status === 429 || status === 408 || name === 'RequestTimeout';
}

/** A mistake of our own (a TypeError) has no status either, and must not be taken for an outage. */
function isFromNetwork(error: S3Failure): boolean {
  return (
    error.code !== undefined ||
    error.$metadata !== undefined ||
    ['TimeoutError', 'NetworkingError', 'SyntaxError'].includes(error.name)
  );
}

export function isNotFound(error: unknown): boolean {
  const { name, $metadata } = error as S3Failure;
  if (name === 'NoSuchBucket') return false;
  // A delete marker that is named by its version answers 405.
  return $metadata?.httpStatusCode === 404 || name === 'MethodNotAllowed' || name === 'NoSuchVersion';
}

/** The answer to a write that was to make a new object (If-None-Match) where there is one. */
export function isPresent(error: unknown): boolean {
  return (error as S3Failure).$metadata?.httpStatusCode === 412;
}

/**
 * What S3 or the network said, as RepositoryUnavailable or RepositoryRefused; not-found and present stay what they are,
 * the caller knows what they mean.
 * @param where endpoint and bucket, for people
 */
export function repositoryError(error: unknown, where: string): unknown {
  if (error instanceof HoldfastError || isNotFound(error) || isPresent(error)) return error;
  const failure = error as S3Failure;
  const said = failure.code ?? failure.name;
  if (isTransient(error)) {
    return new HoldfastError('RepositoryUnavailable', `the repository ${where} does not answer (${said})`, {
      hint: 'the S3 endpoint has to be reachable from this machine; look at the network and at the service',
      cause: error,
    });
  }
  const hint = hintFor(failure);
  return hint === null
    ? error
    : new HoldfastError('RepositoryRefused', `the repository ${where} refused (${said})`, {
        hint,
        cause: error,
      });
}

function hintFor(failure: S3Failure): string | null {
  if (CREDENTIALS.has(failure.name)) {
    return 'the credentials are missing, wrong or have expired: renew what repository.credentials names';
  }
  if (CERTIFICATE.test(failure.code ?? '')) {
    return 'the certificate of the endpoint is not trusted: repository.caFile has to name its authority';
  }
  const status = failure.$metadata?.httpStatusCode;
  if (failure.name === 'InvalidObjectState' || failure.name === 'ObjectNotInActiveTierError') {
    return 'the object is in an archive class: ask the service to restore it, and try again when it is back';
  }
  if (failure.name === 'NoSuchBucket')
    return 'create the bucket, with Object Lock, or correct repository.bucket';
  if (status === 301 || failure.name === 'PermanentRedirect') return 'correct repository.region';
  if (status === 401 || status === 403) return 'the policy of these credentials has to allow the request';
  return status === undefined ? null : `S3 answered ${status}: ${failure.message}`;
}

/** What S3 said no with; null: it is away, there is no such thing, or it does not know the credentials at all. */
export function refusalOf(error: unknown): string | null {
  const said = error instanceof HoldfastError ? error.cause : error;
  const { name, $metadata } = (said ?? {}) as Partial<S3Failure>;
  const status = $metadata?.httpStatusCode ?? 0;
  const isNo = status >= 400 && status < 500 && status !== 404 && !isTransient(said);
  return isNo && name !== undefined && !CREDENTIALS.has(name) ? name : null;
}
