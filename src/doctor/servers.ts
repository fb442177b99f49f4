import { type Check, type Examination, type Finding, type Installation, look } from './check.ts';

/** Every production server: rights, the archive's settings and state, and by what copies can be checked. */
export const checkServers: Check<Installation> = async (of) => {
  const findings: Finding[] = [];
  for (const database of of.databases) {
    const { host, port, user } = database.config.connection;
    const asked: { examination: Examination | null } = { examination: null };
    const reached = await look(`${database.name}: connection`, async () => {
      asked.examination = await of.examined(database);
      return `${user} at ${host}:${port}`;
    });
    const lines = asked.examination?.lines ?? [];
    findings.push(
      reached,
      ...lines.map(({ what, ...rest }): Finding => ({ check: `${database.name}: ${what}`, ...rest })),
    );
  }
  return findings;
};
