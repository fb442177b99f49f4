import type { AuditCalendar, AuditFinding, AuditReport } from '../../model/audit.ts';
import { horizonFrom } from './calendar.ts';
import { tellBroken, tellMonths, tellThaw, tellUnlisted, tellWindow } from './coming.ts';
import type { AuditedDatabase, AuditFacts } from './facts.ts';
import type { Outlook } from './outlook.ts';
import { outlookOf } from './outlook.ts';
import { promisesOf } from './promised.ts';
import { brokenPromises, missingMonths, unrestorable } from './promises.ts';
import { spansOf } from './spans.ts';
import { sortFindings } from './words.ts';
import { worldOf } from './world.ts';

/** A year. */
export const HORIZON_DAYS = 366;

/** Plays the calendar forward over what is there and what will be made, and says what will not hold. Pure. */
export function audit(facts: AuditFacts, horizonDays: number = HORIZON_DAYS): AuditReport {
  const horizon = horizonFrom(facts.now, horizonDays);
  const world = worldOf(facts);
  const findings: AuditFinding[] = [];
  const calendars: AuditCalendar[] = [];
  for (const database of facts.databases) {
    const outlook = outlookOf(database, { bucket: facts.bucket, horizon, world });
    const told = tell(database, outlook);
    findings.push(...told.findings);
    calendars.push(told.calendar);
  }
  const { repository, looked } = facts;
  const at = new Date(facts.now).toISOString();
  return { at, repository, looked, findings: sortFindings(findings), calendars };
}

function tell(
  database: AuditedDatabase,
  outlook: Outlook,
): { findings: AuditFinding[]; calendar: AuditCalendar } {
  const { name, policy } = database;
  const { horizon, chains, window } = outlook;
  const lives = [...outlook.lives.values()];
  const months = policy.snapshots ? missingMonths(lives, policy.snapshotMs, horizon) : [];
  const serving = chains.serving;
  const findings = [
    ...tellBroken(name, brokenPromises(lives, horizon), horizon),
    ...(window === null
      ? []
      : [
          ...tellWindow(name, window.holes, { windowMs: window.windowMs, serving, horizon }),
          ...(window.holes.length > 0 ? [] : tellThaw(name, window.unready, horizon)),
        ]),
    ...tellMonths(name, months, horizon),
    ...tellUnlisted(name, lives, horizon),
  ];
  const spans = spansOf({
    ...{ horizon, lives, window, months, others: [] },
    serving: window === null ? [] : serving,
    unrestorable: unrestorable(lives),
  });
  return { findings, calendar: { database: name, spans, promises: promisesOf(outlook) } };
}
