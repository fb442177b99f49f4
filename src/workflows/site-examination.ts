import type { Finding } from '../doctor/check.ts';
import { parseInput } from '../model/input.ts';
import { examineOn } from './proxies.ts';
import { orEnd } from './runbook/failure.ts';

/** Has a worker of the site look at its own machine: what `holdfast doctor` cannot see from another. */
export async function siteExamination(given: unknown): Promise<Finding[]> {
  const { site } = orEnd(() => parseInput('siteExamination', given));
  return examineOn(site).examineSite({ site });
}
