import { describeTarget, type Target } from '../model/target.ts';

/** What of an activity's input its summary may name. */
interface Named {
  database?: string;
  site?: string;
  stanza?: string;
  host?: string;
  id?: string;
  target?: Target;
  base?: { backup: string };
  instance?: { id: string };
  tables?: string[] | null;
  kind?: string;
  backup?: string;
  channel?: string;
  planDigest?: string;
  import?: string;
  order?: { format: string };
}

/** One line per activity, so that the history in the Temporal UI reads like the runbook. */
const SUMMARIES: Record<string, (input: Named) => string> = {
  describeRecovery: ({ database }) => `read the policy of ${database}`,
  chooseBase: ({ database, target }) =>
    `choose the base of ${database} for ${target === undefined ? 'the target' : describeTarget(target)}`,
  requestThaw: ({ base, database }) => `ask for what of ${base?.backup} of ${database} is archived`,
  chooseLogicalBackup: ({ database }) => `choose the logical backup of ${database}`,
  provisionInstance: ({ id }) => `provision ${id}`,
  restoreInstance: ({ base, instance }) => `restore ${base?.backup} into ${instance?.id}`,
  restoreTables: ({ base, instance, tables }) =>
    `restore ${tables?.join(', ')} of ${base?.backup} into ${instance?.id}`,
  checkRestoredTables: ({ instance }) => `check ${instance?.id}`,
  replayInstance: ({ target }) => `replay to ${target === undefined ? 'the target' : describeTarget(target)}`,
  checkInstance: ({ instance }) => `check ${instance?.id}`,
  compareTables: ({ tables, database }) => `compare ${tables?.join(', ')} with ${database}`,
  exportTables: ({ tables, order }) => `export ${tables?.join(', ')} as ${order?.format}`,
  importTables: ({ database, planDigest }) => `import plan ${planDigest} into ${database}`,
  verifyImport: ({ database }) => `look again at ${database}`,
  chooseForVerification: ({ database }) => `choose what of ${database} is verified`,
  checkObjects: ({ backup }) => `read the objects of ${backup}`,
  countProduction: ({ database }) => `count rows of ${database}`,
  checkCounts: ({ instance }) => `count rows of ${instance?.id}`,
  checkHeartbeat: ({ database }) => `look for the last commit of ${database}`,
  checkHealth: ({ instance }) => `ask about the health of ${instance?.id}`,
  recordVerification: ({ backup }) => `record the verification of ${backup}`,
  describeDisaster: ({ database, site }) => `read how ${site} takes ${database} over`,
  assessLoss: ({ database }) => `work out what of ${database} is lost`,
  planDisaster: ({ database }) => `plan the recovery of ${database}`,
  examineSite: ({ site }) => `look what a recovery needs at ${site}`,
  fenceOldServer: ({ database }) => `fence the old server of ${database}`,
  takeOverInstance: ({ instance }) => `make ${instance?.id} a primary`,
  promoteInstance: ({ instance }) => `promote ${instance?.id}, isolated`,
  proveArchive: ({ stanza }) => `see a log arrive in ${stanza}`,
  prepareTopology: ({ database }) => `note where ${database} lives`,
  keepTopology: ({ database }) => `say where ${database} lives`,
  checkNewServer: ({ database }) => `check the new server of ${database}`,
  planSwitch: ({ database }) => `plan the switch of the clients of ${database}`,
  readEndpoints: ({ database }) => `read where the clients of ${database} are sent`,
  setEndpoints: ({ database }) => `switch the clients of ${database}`,
  restoreEndpoints: ({ database }) => `switch the clients of ${database} back`,
  verifyEndpoints: ({ database }) => `connect to ${database} as its clients do`,
  checkServing: ({ database }) => `ask the application about ${database}`,
  settleProduction: ({ instance }) => `${instance?.id} is production`,
  offerInstance: ({ instance }) => `keep ${instance?.id} for a while`,
  chooseDrill: ({ database }) => `choose what of ${database} is recovered`,
  findRecovery: ({ database }) => `look for a real recovery of ${database}`,
  recordDrill: ({ database }) => `record the drill of ${database}`,
  describeChannels: () => 'look who is told',
  sendAlert: ({ channel }) => `tell ${channel}`,
  lookForProblems: () => 'look what should have run',
  auditRepository: () => 'read the repository and play a year forward',
  pingDeadManSwitch: () => "tell the dead man's switch",
  applySchedules: () => 'watch the hosts that have databases now',
  removeExpiredUndo: () => 'remove expired undo data',
  describeChange: ({ database }) => `read the policy of ${database}`,
  readUndo: (input) => `look the import of ${input.import} up`,
  planUndo: (input) => `compare ${input.database} with the import of ${input.import}`,
  undoImport: (input) => `undo the import of ${input.import} by plan ${input.planDigest}`,
  verifyUndo: ({ database }) => `look again at ${database}`,
  removeInstance: ({ instance }) => `remove ${instance?.id}`,
  writeEvidence: () => 'write the evidence',
  takeLogicalBackup: ({ database }) => `dump ${database}`,
  takePhysicalBackup: ({ database, kind }) => `${kind} physical backup of ${database}`,
  chooseSnapshot: ({ database }) => `choose the backup of the month of ${database}`,
  takeSnapshot: ({ database, backup }) => `copy ${backup} of ${database}`,
  watchHost: ({ host }) => `watch the log archives of ${host}`,
};

export function summaryOf(activity: string, input: unknown): string {
  return SUMMARIES[activity]?.((input ?? {}) as Named) ?? activity;
}
