import { join } from 'node:path';
import { describeEndpoint } from '../../config/endpoints.ts';
import { CONTROL_QUEUE, hostQueue, siteQueue } from '../../model/queue.ts';
import { shellQuote } from '../output.ts';
import type { RunbookFacts } from './facts.ts';
import { REASON, type Step, stepsTable } from './from-the-plan-on.ts';
import { holdfast, shell, tableOf, temporal, variable } from './markdown.ts';
import { about, breakGlass, head, ID, measuredTimes, steering, whoDecides } from './sections.ts';

const RUNBOOK = 'fullDisasterRecovery';
const SITE = variable('SITE');
const PLAN = variable('PLAN');

/** Full disaster recovery: the whole database at another site, where it becomes production. */
export function fullRecoveryDocument(facts: RunbookFacts): string {
  const { host } = facts.database.config;
  const title = head(
    facts,
    'full disaster recovery',
    `For the loss of ${host}, its site or its region: the whole database at another site, where it becomes production, and the switch of its clients. Of the old site nothing is needed.`,
  );
  const parts =
    facts.database.bases === 'logical'
      ? [title, notSupported(facts), about(facts), breakGlass(facts)]
      : [
          title,
          ...(facts.takeovers.length === 0 ? [notPrepared(facts)] : []),
          about(facts),
          whoDecides(facts, facts.disasterApproval),
          measuredTimes(facts, RUNBOOK),
          ...(facts.takeovers.length === 0 ? [] : recovery(facts)),
          breakGlass(facts),
          "After a disaster: section 4 of a physical backup's `RESTORE.md` makes the restored server the new production, and `docs/break-glass.md` is the whole way, back to Holdfast too.",
        ];
  return `${parts.join('\n\n')}\n`;
}

const recovery = (facts: RunbookFacts): string[] => [
  places(facts),
  beforehand(facts),
  start(facts),
  whatHappens(facts),
  firstDecision(facts),
  secondDecision(facts),
  refused(facts),
  oldPrimary(facts),
  steering(facts),
];

/** What this version cannot do, and what works instead. */
function notSupported(facts: RunbookFacts): string {
  const { name, config } = facts.database;
  const site = facts.sites.at(-1)?.name ?? 'SITE';
  return `## Not supported yet

**Holdfast does not recover ${name} into a new production server**: of ${config.engine} that is not supported yet. It is brought up by hand, from a backup's \`RESTORE.md\` and the shipped logs (below). What works meanwhile, at any site: the newest state, read-only, to look at and to export from; and every table of it as a file.

${shell(
  "REASON='INC-42: what happened'",
  holdfast(facts, 'catalog', name),
  holdfast(
    facts,
    'restore',
    'pitr',
    name,
    '--latest',
    '--site',
    site,
    '--keep-instance',
    '24h',
    '--reason',
    REASON,
  ),
  `ID=pitr/${name}/20260131T140500Z     # as it was printed`,
  holdfast(facts, 'connect', ID),
)}`;
}

/** What the configuration lacks, and what works meanwhile. */
function notPrepared(facts: RunbookFacts): string {
  const { name } = facts.database;
  const site = facts.sites.at(-1)?.name ?? 'SITE';
  return `## Not prepared yet

**No site can take ${name} over**: the configuration does not say how clients would reach it there. Add, for a site away from ${facts.database.config.host}:

\`\`\`yaml
databases:
  ${name}:
    takeover:
      ${site}: {address: WHERE CLIENTS REACH IT, port: 5432}
    fence: {command: [PROGRAM THAT STOPS THE OLD SERVER]}   # left out: whoever approves says so
    endpoints: []                                           # what is switched
\`\`\`

Then look whether that site has all it needs, on one of its hosts, and write this document anew:

${shell(holdfast(facts, 'config', 'check'), holdfast(facts, 'doctor', '--site', site))}

Until then a new server is brought up by hand (below). The newest state can be had at a site within minutes, read-only, to look at and to export from:

${shell(
  "REASON='INC-42: what happened'",
  holdfast(facts, 'restore', 'pitr', name, '--latest', '--keep-instance', '24h', '--reason', REASON),
)}`;
}

function places({ takeovers, database }: RunbookFacts): string {
  const { fence, endpoints, postgres } = database.config;
  const rows = takeovers.map(({ site, takeover: { address, port, listen }, production }) => [
    ...[site, `${address}:${port}${listen === undefined ? '' : `, listens on ${listen}`}`],
    `${production}, run by ${postgres?.systemUser ?? 'postgres'}`,
  ]);
  const switched = endpoints.map((endpoint) => `- ${describeEndpoint(endpoint)}`);
  return `## Where to

${tableOf(['site', 'clients reach it at', 'files'], rows)}

Its archive goes into a stanza of its own, \`${database.name}-<time>\`: the old server cannot write there. The fence: ${
    fence === undefined
      ? '**there is no command: whoever approves says that the old server is stopped.**'
      : `\`${fence.command.map(shellQuote).join(' ')}\`, on a host of the site.`
  }

${switched.length === 0 ? '**No endpoints are configured: clients are pointed at the new server by hand.**' : `Endpoints that are switched, in this order:\n\n${switched.join('\n')}`}`;
}

function beforehand(facts: RunbookFacts): string {
  const { name } = facts.database;
  const doctors = facts.takeovers.map(({ site }) => holdfast(facts, 'doctor', '--site', site));
  return `## Before the day

On a host of the site, with the environment of its worker; and now and then a drill, which goes up to the switch and changes nothing:

${shell(...doctors, holdfast(facts, 'drill', name, '--runbook', 'full', '--wait'))}`;
}

function start(facts: RunbookFacts): string {
  const { name } = facts.database;
  const { site } = facts.takeovers[0] ?? { site: '' };
  const restore = (...rest: Parameters<typeof holdfast>[1][]) =>
    holdfast(facts, 'restore', 'full', name, '--site', SITE, ...rest, '--reason', REASON);
  const input = { database: name, site, reason: 'INC-42: what happened', requestedBy: 'YOUR NAME' };
  return `## 1. Start

Be sure that it is one: a server that comes back in ten minutes loses nothing. Nothing is done before the first decision.

${shell(
  `SITE=${site}`,
  "REASON='INC-42: what happened'       # kept in the evidence",
  holdfast(facts, 'catalog', name),
  restore(),
  `ID=disaster/${name}/20260131T140500Z # as it was printed`,
  holdfast(facts, 'status', ID, '--watch'),
)}

It goes as far as the logs in the repository go; where one is missing, to before it, and the plan names what lies beyond. To an earlier moment, or with clients left where they are:

${shell(restore('--time', '2026-01-31T14:05:00Z'), restore('--no-switch'))}

The same by Temporal's own program, where this one is not at hand:

${shell(
  temporal(
    facts,
    ...['workflow', 'start', '--task-queue', CONTROL_QUEUE, '--type', RUNBOOK],
    ...['--workflow-id', ID, '--input', JSON.stringify(input)],
  ),
)}`;
}

const STEPS: Step[] = [
  [
    'choose base',
    'the newest backup, and the logs from there on; a server that still answers closes its log, so that less is lost',
  ],
  [
    'state the loss',
    'the last moment that can be recovered, against now; whether the old server still answers',
  ],
  ['plan', 'what is lost, what will be done'],
  ['decide', 'waits for people: the first decision, `recover`'],
  [
    'fence',
    'makes sure that nobody writes to the old server; where it still can be written to, the run waits',
  ],
  ['provision', "a directory on one of the site's hosts; refused where the disk is too small"],
  ['restore', 'the files of the backup; before it, `thaw`, only where they lie in an archive class: hours'],
  ['replay', 'all logs, as a standby to their end; that it got there is asserted'],
  ['check', 'integrity of the tables'],
  [
    'take over',
    'the files move to their user; the server is production on a new timeline, and can be written to',
  ],
  [
    'protect',
    'a log of it is in its own archive; schedules and queues follow it; its first full backup is started',
  ],
  ['verify', "schema, rows and the last commit, and the application's own questions"],
  ['plan switch', 'what each endpoint says now, and will say'],
  ['decide switch', 'waits for people: the second decision, `switch`'],
  ['switch', 'each endpoint, read back'],
  ['verify endpoint', 'a session through each reaches the new server, and can write; else all are set back'],
  ['settle', 'it is production: nothing removes it any more'],
];

function whatHappens(facts: RunbookFacts): string {
  const queues = facts.takeovers.map(({ site }) => `\`${siteQueue(site)}\``).join(' or ');
  const hosts = facts.sites
    .filter(({ name }) => facts.takeovers.some(({ site }) => site === name))
    .flatMap((site) => site.hosts.map((host) => `\`${hostQueue(host)}\``));
  return `## 2. What happens

${stepsTable(facts, RUNBOOK, STEPS)}

Workers needed: on \`${CONTROL_QUEUE}\`, ${queues}, and ${hosts.join(' or ')}. None of the old site.`;
}

function firstDecision(facts: RunbookFacts): string {
  const { fence } = facts.database.config;
  const word =
    fence === undefined
      ? ' **By approving you say that nobody can write to the old server any more**: stop it, take its network away, by a way that does not hang on it. It is recorded as your word.'
      : ' The fence command runs right after it.';
  return `## 3. The first decision: recover

The plan says first what is lost: the commits after the last moment that can be recovered, as a span, and as a number of transactions where the log watch had counted them. Then whether the old server still answers, which backup, how many logs, how long.${word}

${approve(facts)}

Afterwards the old server is asked whatever was said of it. Where it answers and can be written to, the run parks: stop it, then \`holdfast resume\`.`;
}

function secondDecision(facts: RunbookFacts): string {
  return `## 4. The second decision: switch

The new server is up, archives, and was verified; no client knows it yet. Look at it. The plan lists each endpoint with what it says now and what it will say, and every check that did not pass.

${shell(holdfast(facts, 'connect', ID))}

${approve(facts)}

Where clients do not reach it afterwards, or the application's questions fail, every endpoint is set back to what it said, and the decision is asked for again with what failed.`;
}

function approve(facts: RunbookFacts): string {
  return shell(
    holdfast(facts, 'status', ID),
    'PLAN=0123456789ab                    # the digest that status shows',
    holdfast(facts, 'approve', ID, '--plan', PLAN),
    holdfast(facts, 'reject', ID, '--plan', PLAN, '--comment', 'the old site is back'),
  );
}

function refused(facts: RunbookFacts): string {
  return `## 5. If it is rejected, expires or fails

Before \`take over\` nothing has changed and nothing is left. After it: the database lives where it lived before, for Holdfast and for its schedules; endpoints keep, or get back, their old values; the new server stays for a while, to look at and to export from, and is removed then. \`status\` says until when. A cancelled run removes it at once.

${shell(holdfast(facts, 'status', ID), holdfast(facts, 'connect', ID))}

A fence is not taken back: start the old server again by hand.`;
}

function oldPrimary(facts: RunbookFacts): string {
  const { name } = facts.database;
  const production = facts.takeovers.map((each) => join(each.production, '…')).join(' or ');
  return `## 6. Afterwards

- The service file of the new server, which brings it up after a reboot, is named in the run's last message (under ${production}): link it into systemd.
- The first full backup has to end before the new server can be recovered to a moment of its own. See \`catalog\`.
- **The old server, should it come back**, is recognised and reported by the watchdog and by \`status --all\`. Nothing is ever written to it, and what it archives no longer counts. Rows that only it has are lost unless somebody takes them from it: keep its files until that is settled, and keep it away from clients.
- To go back to the old site later: make it a site with a \`takeover\`, and run this from the new one.

${shell(holdfast(facts, 'catalog', name), holdfast(facts, 'status', '--all'), holdfast(facts, 'schedules', 'list'))}`;
}
