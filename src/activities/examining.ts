import type { Finding } from '../doctor/check.ts';
import { examineSite } from '../doctor/doctor.ts';
import type { Dependencies } from './dependencies.ts';
import { asActivity } from './run.ts';

/** A repository that is away is a finding of its own. */
const S3_PATIENCE_MS = 3_000;

export const createExaminingActivities = (deps: Dependencies) => ({
  /** What a recovery at this site needs of this machine. */
  async examineSite(input: { site: string }): Promise<Finding[]> {
    return asActivity(async (run) => {
      const { config, engines } = deps;
      const findings: Finding[] = [];
      const patient = { engines, temporal: null, patienceMs: S3_PATIENCE_MS, run };
      for await (const finding of examineSite(config, input.site, patient)) {
        run.progress({ phase: `looking at ${finding.check}` });
        findings.push(finding);
      }
      return findings;
    });
  },
});
