import { audit } from '../src/repository/audit/audit.ts';
import { fleetFacts } from './audit-facts.ts';
import { LoadWatch, type Row, spreadOf, timed } from './measure.ts';

const DATABASES = 200;
const AT_MOST_SECONDS = 5;

/** A year of a fleet in one audit: pure code over facts that were read before. */
export async function benchAudit(options: { pairs: number; say: (line: string) => void }): Promise<Row> {
  const facts = fleetFacts(DATABASES);
  const load = new LoadWatch();
  const times: number[] = [];
  for (let run = 1; run <= options.pairs; run += 1) {
    let findings = 0;
    times.push(await timed(async () => (findings = requireTold(audit(facts).findings.length))));
    load.look();
    options.say(`audit ${run}/${options.pairs}: ${times.at(-1)?.toFixed(1)} s, ${findings} findings`);
  }
  const value = spreadOf(times);
  const versions = facts.looked.versions.toLocaleString('en-US');
  return {
    name: 'audit',
    what: `audit of a year for ${DATABASES} databases with ${versions} objects`,
    ...{ against: '', unit: 'elapsed', value, atMost: AT_MOST_SECONDS, load: load.highest, steps: {} },
    ...{ missed: !(value.median <= AT_MOST_SECONDS), ours: null, theirs: null },
  };
}

/** An audit that finds nothing would be fast. */
function requireTold(findings: number): number {
  if (findings === 0) throw new Error('the audit did not find the rule that takes bases');
  return findings;
}
