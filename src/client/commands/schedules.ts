import { Command } from 'commander';
import { desiredSchedules, ownerOf } from '../../config/schedules.ts';
import { applySchedules, diffSchedules, type ScheduleChange } from '../../schedules/apply.ts';
import { action, withGlobalOptions } from '../options.ts';
import { formatTable, formatTime, style, terminalWidth } from '../output.ts';
import { listSchedules, type ScheduleRow } from '../schedule-list.ts';
import { type Session, withSession } from '../session.ts';

export function schedulesCommand(): Command {
  return new Command('schedules')
    .description('the schedules of all tiers, derived from the configuration')
    .addCommand(applyCommand())
    .addCommand(listCommand());
}

function applyCommand(): Command {
  const command = new Command('apply')
    .description('show what differs from the configuration and make it so; what a person paused stays paused')
    .option('--dry-run', 'only show the difference')
    .addHelpText('after', '\nExample:\n  holdfast schedules apply --dry-run');
  return withGlobalOptions(command).action(
    action((options: { dryRun?: true }, self: Command) =>
      withSession(self, (session) => apply(session, options.dryRun === true), 'now'),
    ),
  );
}

async function apply({ config: { config }, client, output, print }: Session, dryRun: boolean): Promise<void> {
  const desired = desiredSchedules(config);
  const owner = ownerOf(config);
  const changes = await diffSchedules(client, desired, owner);
  // Before anything is done, so that a person sees it even when it fails half way.
  if (output === 'text') print(changes, formatChanges(changes));
  const applied = dryRun ? changes : await applySchedules(client, desired, owner);
  if (output === 'json') print({ applied: !dryRun, changes: applied });
  else if (dryRun) print(null, 'nothing was changed (--dry-run)');
  else if (changes.some(({ kind }) => kind !== 'keep')) print(null, 'applied');
}

function listCommand(): Command {
  const command = new Command('list')
    .description('next and last run of every schedule, its result, and what was missed')
    .addHelpText('after', '\nExample:\n  holdfast schedules list');
  return withGlobalOptions(command).action(
    action((_options: unknown, self: Command) =>
      withSession(self, async ({ client, print }) => {
        const rows = await listSchedules(client);
        print({ schedules: rows }, formatRows(rows));
      }),
    ),
  );
}

const SIGNS = { create: '+', update: '~', remove: '-' } as const;

/** The difference for people: a line per schedule and, below it, one per setting that changes. */
export function formatChanges(changes: readonly ScheduleChange[]): string {
  const lines: string[] = [];
  for (const { id, kind, fields, paused } of changes) {
    if (kind === 'keep') continue;
    lines.push(`${SIGNS[kind]} ${id}${paused === null ? '' : ` (${pausedText(paused.note)}, stays so)`}`);
    if (kind === 'create') lines.push(`    ${fields.find(({ name }) => name === 'when')?.to ?? ''}`);
    if (kind === 'update')
      lines.push(...fields.map((each) => `    ${each.name}: ${each.from} -> ${each.to}`));
  }
  const kept = changes.filter(({ kind }) => kind === 'keep');
  const paused = kept.filter((change) => change.paused !== null);
  lines.push(...paused.map((change) => `  ${change.id} (${pausedText(change.paused?.note ?? null)})`));
  lines.push(`${kept.length} of ${changes.length} schedules are as they should be`);
  return lines.join('\n');
}

function pausedText(note: string | null): string {
  return note === null ? 'paused' : `paused: ${note}`;
}

function formatRows(rows: readonly ScheduleRow[]): string {
  if (rows.length === 0) return 'there are no schedules yet; `holdfast schedules apply` makes them';
  const columns = ['schedule', 'next run', 'last run', 'result', 'missed', 'skipped', ''];
  return formatTable(
    columns.map((head) => ({ head, align: head === 'missed' || head === 'skipped' ? 'right' : 'left' })),
    rows.map((row) => [
      row.id,
      row.nextRunAt === null ? '-' : formatTime(row.nextRunAt),
      row.lastRunAt === null ? 'never' : formatTime(row.lastRunAt),
      row.lastResult === null ? '' : style(colourOf(row.lastResult), row.lastResult),
      String(row.missed),
      String(row.skipped),
      row.paused ? style('yellow', pausedText(row.note)) : '',
    ]),
    { width: terminalWidth() },
  );
}

function colourOf(result: string): 'green' | 'red' | 'dim' {
  if (result === 'completed' || result === 'running') return 'green';
  return result === 'unknown' ? 'dim' : 'red';
}
