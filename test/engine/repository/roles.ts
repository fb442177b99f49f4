import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { S3Server } from '../../../src/client/dev/s3.ts';
import type { RepositoryConfig } from '../../../src/config/schema.ts';

type Credentials = NonNullable<RepositoryConfig['credentials']>;

/** Credentials of a role that a policy binds, by reference as a configuration has them. */
export async function roleOf(server: S3Server, name: string, policy: object): Promise<Credentials> {
  const sts = new STSClient({
    endpoint: server.endpoint,
    region: server.region,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca: await readFile(server.caFile) }) }),
  });
  const { Credentials: made } = await sts.send(
    new AssumeRoleCommand({
      RoleArn: `arn:aws:iam::000000000000:role/${name}`,
      RoleSessionName: name,
      Policy: JSON.stringify(policy),
    }),
  );
  sts.destroy();
  const variable = (what: string, value: string | undefined) => {
    const env = `TEST_ROLE_${name.toUpperCase()}_${what}`;
    process.env[env] = value;
    return { env };
  };
  return {
    accessKeyId: variable('KEY', made?.AccessKeyId),
    secretAccessKey: variable('SECRET', made?.SecretAccessKey),
    sessionToken: variable('TOKEN', made?.SessionToken),
  };
}
