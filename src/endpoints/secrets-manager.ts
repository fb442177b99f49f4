import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { EndpointConfig } from '../config/schema/endpoint.ts';
import { HoldfastError } from '../model/failure.ts';
import type { Address } from '../model/topology.ts';
import { requirePlain, sameAddress } from './address.ts';
import type { Unnamed } from './endpoint.ts';
import { endpointFailed } from './failure.ts';

type SecretConfig = Extract<EndpointConfig, { secretsManager: unknown }>['secretsManager'];
type Content = Record<string, unknown>;

/** A secret of AWS whose text is a JSON object with `host` and `port`, by the credentials that AWS gives the worker. */
export function secretsManager(config: SecretConfig): Unnamed {
  const { secretId, region, endpoint } = config;
  const name = `secret ${secretId} of ${region}`;

  const withClient = async <T>(signal: AbortSignal, work: (client: SecretsManagerClient) => Promise<T>) => {
    const client = new SecretsManagerClient({ region, ...(endpoint === undefined ? {} : { endpoint }) });
    try {
      return await work(client);
    } catch (error) {
      signal.throwIfAborted();
      throw refusal(name, error);
    } finally {
      client.destroy();
    }
  };

  const contentOf = async (client: SecretsManagerClient, abortSignal: AbortSignal): Promise<Content> => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secretId }), {
      abortSignal,
    });
    const content = parseObject(SecretString);
    if (content !== null) return content;
    throw endpointFailed(
      `${name} is no JSON object`,
      'the endpoint changes `host` and `port` of such a secret alone',
    );
  };

  return {
    pooler: null,
    read: ({ signal }) => withClient(signal, async (client) => addressOf(await contentOf(client, signal))),
    async write(address, { signal }) {
      requirePlain(address);
      await withClient(signal, async (client) => {
        const content = await contentOf(client, signal);
        if (sameAddress(addressOf(content), address)) return;
        const { host, port } = address;
        // A port that was written as text stays text: its readers may count on it.
        const next = { ...content, host, port: typeof content.port === 'string' ? String(port) : port };
        const put = new PutSecretValueCommand({ SecretId: secretId, SecretString: JSON.stringify(next) });
        await client.send(put, { abortSignal: signal });
        if (!sameAddress(addressOf(await contentOf(client, signal)), address)) {
          throw endpointFailed(
            `${name} does not say what was written`,
            'see in CloudTrail what else writes it',
          );
        }
      });
    },
  };
}

function parseObject(text: string | undefined): Content | null {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Content) : null;
  } catch {
    // The error would quote the secret.
    return null;
  }
}

function addressOf({ host, port }: Content): Address | null {
  const number = Number(port ?? 5432);
  return typeof host === 'string' && host !== '' && Number.isInteger(number) ? { host, port: number } : null;
}

function refusal(name: string, error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const { name: code = 'unknown error', $metadata } = error as {
    name?: string;
    $metadata?: { httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  const retryable =
    (status === 0 && code !== 'CredentialsProviderError') ||
    status === 429 ||
    status >= 500 ||
    /Throttl/.test(code);
  return endpointFailed(
    `AWS refused ${name}: ${code}`,
    'check its name and region, and the rights secretsmanager:GetSecretValue and secretsmanager:PutSecretValue of the worker',
    { retryable, cause: error },
  );
}
