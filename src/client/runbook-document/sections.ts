import type { ApprovalPolicy } from '../../model/decision.ts';
import { formatDuration } from '../../model/duration.ts';
import { describeObjective } from '../../model/objective.ts';
import { countOf } from '../../model/plan.ts';
import { instructionsKey } from '../../repository/layout.ts';
import { shellQuote } from '../output.ts';
import { formatSpan } from '../view/duration.ts';
import { wordsOf } from './engine-words.ts';
import type { RunbookFacts } from './facts.ts';
import { commandLine, holdfast, shell, tableOf, temporal, variable } from './markdown.ts';
import type { Measured } from './measured.ts';

export const ID = variable('ID');

/** What each document starts with. */
export function head(facts: RunbookFacts, title: string, purpose: string): string {
  const { name } = facts.database;
  const written = `${facts.writtenAt.toISOString().slice(0, 19)}Z`;
  return `# ${name}: ${title}\n\n${purpose}\n\nWritten ${written} from the configuration by \`${holdfast(facts, 'runbook', name)}\`. Write it anew after a change of the configuration, and keep a copy where it can be read while everything else is away.`;
}

/** Names, places, objectives, tiers. */
export function about(facts: RunbookFacts): string {
  const { database, sites, queues, repository, temporal: place } = facts;
  const { config, objectives } = database;
  const { connection } = config;
  const rows = [
    ['database', `${database.name} (${config.engine})`],
    ['server', `${connection.host}:${connection.port}, db ${connection.database}, as ${connection.user}`],
    ['host', config.host],
    ...wordsOf(database).places(database),
    ...sites.map((site) => [
      `site ${site.name}`,
      `hosts ${site.hosts.join(', ')}; instances under ${site.directory}, run by ${site.user}`,
    ]),
    ['repository', `bucket ${repository.bucket} in ${repository.region}${repositoryDetail(facts)}`],
    ['Temporal', `${place.address}, namespace ${place.namespace}`],
    ['task queues', queues.join(', ')],
    ['objectives', `${describeObjective('RPO', objectives)}, ${describeObjective('RTO', objectives)}`],
  ];
  const tiers = facts.protection.map((line) => `- ${line}`).join('\n');
  return `## The database\n\n${tableOf(['', ''], rows)}\n\nTiers and schedules (UTC), and how they follow from the objectives:\n\n${tiers}`;
}

function repositoryDetail({ repository }: RunbookFacts): string {
  const prefix = repository.prefix === '' ? '' : `, prefix ${repository.prefix}`;
  return `${prefix}${repository.endpoint === null ? '' : `, at ${repository.endpoint}`}`;
}

/** Who has to say yes. */
export function whoDecides({ database }: RunbookFacts, policy = database.approval): string {
  return `## Who to ask\n\n${policyOf(policy)}`;
}

function policyOf({ people, requesterMayApprove, approvers, timeLimitMs }: ApprovalPolicy): string {
  if (people === 0) {
    return 'Nobody is asked: the configuration itself approves every plan, and the evidence says so.';
  }
  const who = approvers.length === 0 ? 'anyone' : `one of ${approvers.join(', ')}`;
  const count = people === 1 ? 'One person' : `${people} different people`;
  const self = requesterMayApprove ? 'may be' : 'may not be';
  return `${count} must approve the plan before production changes: ${who}. The person who asked for the recovery ${self} among them. After ${formatDuration(timeLimitMs)} without a decision the runbook cleans up and changes nothing.`;
}

/** Times of earlier runs of a workflow type, or that there are none. */
export function measuredTimes(facts: RunbookFacts, runbook: string): string {
  const heading = '## How long it takes';
  if (facts.measured === null) return `${heading}\n\nNot known: ${facts.measuredNote ?? 'not looked up'}.`;
  const measured = facts.measured.filter((each) => each.runbook === runbook);
  if (measured.length === 0) return `${heading}\n\nNot measured yet: no completed run has left its evidence.`;
  return [heading, ...measured.map((each) => measuredRuns(facts, each))].join('\n\n');
}

const MEASURED: Record<Measured['how'], string> = {
  imported: 'With a change of production',
  'not imported': 'Without one (export, hand-over)',
  drilled: 'In drills, with the import as its plan estimates it',
};

function measuredRuns(facts: RunbookFacts, measured: Measured): string {
  const { how, runs, medianSeconds, slowestSeconds, newestAt } = measured;
  const what = MEASURED[how];
  const objective = facts.database.objectives.rtoMs;
  const verdict = slowestSeconds * 1_000 <= objective ? 'within' : '**beyond**';
  const steps = tableOf(
    ['step', 'median'],
    measured.steps.map(({ name, seconds }) => [name, span(seconds)]),
  );
  return `${what}: ${countOf(runs, how === 'drilled' ? 'drill' : 'completed run')}, the newest of ${newestAt.slice(0, 10)}: median ${span(medianSeconds)}, slowest ${span(slowestSeconds)}, without the time that people took. The slowest is ${verdict} the RTO of ${formatDuration(objective)}.\n\n${steps}`;
}

/** `45s`; below a second `0.4s`. */
function span(seconds: number): string {
  return seconds < 1 ? `${seconds.toFixed(1)}s` : formatSpan(seconds * 1_000);
}

/** The median of one step, for tables of steps; of runs that changed production where there are such. */
export function stepTime(measured: Measured[] | null, runbook: string, step: string): string {
  const found = measured?.find((each) => each.runbook === runbook)?.steps.find(({ name }) => name === step);
  return found === undefined ? 'not measured yet' : span(found.seconds);
}

/** How to steer a run that is going on. */
export function steering(facts: RunbookFacts): string {
  return `## If it stops

Everything is shown by the first of these. A step that a person can mend (a full disk, an expired credential) parks the run and says what to mend; it waits ${facts.parkLimit} for \`resume\`. A killed worker, or a Temporal server that was away, needs nothing: the run goes on. Cancelling removes the restored server and leaves production as it is.

${shell(
  holdfast(facts, 'status', ID, '--watch'),
  holdfast(facts, 'resume', ID),
  temporal(facts, 'workflow', 'describe', '--workflow-id', ID),
  temporal(facts, 'workflow', 'signal', '--workflow-id', ID, '--name', 'resume'),
  temporal(facts, 'workflow', 'cancel', '--workflow-id', ID),
)}`;
}

/** The way back without Holdfast or Temporal. */
export function breakGlass(facts: RunbookFacts): string {
  const { name } = facts.database;
  const { breakGlass: words, backups } = wordsOf(facts.database);
  const [first] = backups;
  const ids = backups.map(({ tier, id }) => `of a ${tier} backup such as ${id}`);
  return `## Break glass: without Holdfast, without Temporal

Every backup has a \`RESTORE.md\`: plain commands that restore it with ${words.tools}, and nothing of Holdfast's. You need ${words.needs}.

${shell(
  `# 1. The backups: by the first where Holdfast runs, else by the second`,
  holdfast(facts, 'catalog', name),
  s3(facts, 'ls', `manifest/${name}/`),
  `# 2. The id of the one to restore: ${ids.join(', ')}`,
  `BACKUP=${first?.id}`,
  `# 3. Its instructions${backups.length > 1 ? `: ${backups.map(({ tier }) => `a ${tier} backup`).join(', ')}` : ''}`,
  ...backups.map(({ tier }) => s3Copy(facts, instructionsKey(name, tier, '$BACKUP'))),
)}

${words.restores} **Never restore over the production server**: restore beside it, look, then switch.`;
}

function s3(facts: RunbookFacts, verb: string, key: string): string {
  const { bucket, prefix, endpoint, region } = facts.repository;
  const at = endpoint === null ? [] : ['--endpoint-url', endpoint];
  return commandLine(['aws', 's3', verb, `s3://${bucket}/${prefix}${key}`, ...at, '--region', region]);
}

function s3Copy(facts: RunbookFacts, key: string): string {
  const { bucket, prefix, endpoint, region } = facts.repository;
  const at = endpoint === null ? [] : ['--endpoint-url', endpoint];
  const rest = ['-', ...at, '--region', region].map(shellQuote).join(' ');
  return `aws s3 cp "s3://${bucket}/${prefix}${key}" ${rest}`;
}
