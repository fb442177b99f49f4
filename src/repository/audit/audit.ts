import type { AuditCalendar, AuditFinding, AuditReport } from '../../model/audit.ts';
import { horizonFrom } from './calendar.ts';
import { tellBroken, tellMonths, tellThaw, tellUnlisted, tellWindow } from './coming.ts';
import { tellEncryption, tellKeys } from './encryption.ts';
import type { AuditFacts } from './facts.ts';
import { growthOf, tellOrphans } from './growth.ts';
import { tellLocks } from './locks.ts';
import { type Outlook, outlookOf } from './outlook.ts';
import { tellPresent } from './present.ts';
import { promisesOf } from './promised.ts';
import { brokenPromises, missingMonths, unrestorable } from './promises.ts';
import { spansOf } from './spans.ts';
import { lookAtToolFiles, type ToolFiles } from './tool-files.ts';
import { sortFindings } from './words.ts';
import { worldOf } from './world.ts';

/** A year. */
export const HORIZON_DAYS = 366;

/** Plays the calendar forward over what is there and what will be made, and says what will not hold. Pure. */
export function audit(facts: AuditFacts, horizonDays: number = HORIZON_DAYS): AuditReport {
  const horizon = horizonFrom(facts.now, horizonDays);
  const world = worldOf(facts);
  const toolFiles = new Map(facts.toolFiles.map((file) => [file.key, file]));
  const findings: AuditFinding[] = [];
  const calendars: AuditCalendar[] = [];
  const growth = growthOf(world.store);
  for (const database of facts.databases) {
    const outlook = outlookOf(database, { bucket: facts.bucket, horizon, world });
    const tool = lookAtToolFiles(outlook, toolFiles, world);
    const told = tell(outlook, tool.broken);
    growth.look(outlook);
    findings.push(
      ...told.findings,
      ...tool.findings,
      ...tellPresent(outlook, world),
      ...tellLocks(outlook, facts.bucket, toolFiles),
      ...tellEncryption(database, facts.kmsKeyId),
    );
    calendars.push(told.calendar);
  }
  findings.push(...tellKeys(facts), ...tellOrphans(facts), ...growth.tell());
  const { repository, looked } = facts;
  const at = new Date(facts.now).toISOString();
  return { at, repository, looked, findings: sortFindings(findings), calendars };
}

/** What is to come. */
function tell(
  outlook: Outlook,
  others: ToolFiles['broken'],
): { findings: AuditFinding[]; calendar: AuditCalendar } {
  const { name, policy } = outlook.database;
  const { horizon, chains, window } = outlook;
  const lives = [...outlook.lives.values()];
  const months = policy.snapshots ? missingMonths(lives, policy.snapshotMs, horizon) : [];
  const serving = chains.serving;
  const findings = [
    ...tellBroken(name, brokenPromises(lives, horizon), horizon),
    ...(window === null
      ? []
      : [
          ...tellWindow(name, window.holes, { windowMs: window.windowMs, serving, horizon, policy }),
          ...tellThaw(name, window, horizon),
        ]),
    ...tellMonths(name, months, horizon),
    ...tellUnlisted(name, lives, horizon),
  ];
  const spans = spansOf({
    ...{ horizon, lives, window, months, others },
    serving: window === null ? [] : serving,
    unrestorable: unrestorable(lives),
  });
  return { findings, calendar: { database: name, spans, promises: promisesOf(outlook) } };
}
