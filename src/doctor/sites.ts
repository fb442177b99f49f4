import { type Check, type Finding, type Installation, look } from './check.ts';
import { agreed } from './clocks.ts';

/** Every site, looked at by a worker of its own: another machine's secrets, disk and users only it can see. */
export const checkSites: Check<Installation> = async ({ loaded, temporal }) => {
  const findings: Finding[] = [];
  let clock: Finding | null = null;
  for (const site of Object.keys(loaded.config.sites)) {
    let lines: Finding[] = [];
    const asked = await look(`site ${site}`, async () => {
      const { findings: found, startedAt, askedAt } = await temporal.examineSite(site);
      lines = found;
      clock ??= await look('clock of Temporal', async () =>
        agreed(startedAt.getTime(), { from: askedAt.getTime(), to: Date.now() }),
      );
      return 'its worker has looked at its machine';
    });
    findings.push(asked, ...lines.map((line) => ({ ...line, check: `site ${site}: ${line.check}` })));
  }
  return clock === null ? findings : [clock, ...findings];
};
