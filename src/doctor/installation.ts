import { SEARCH_ATTRIBUTES } from '../model/attribute.ts';
import { formatDuration, parseDuration } from '../model/duration.ts';
import { HoldfastError } from '../model/failure.ts';
import { countOf } from '../model/plan.ts';
import { type Check, type Installation, look } from './check.ts';

/** Temporal: there, with what runs need of it, workers for every role, and schedules that start what they should. */
export const checkInstallation: Check<Installation> = async ({ temporal, loaded }) => [
  await look('temporal', () => temporal.reach()),
  await look('search attributes', async () => {
    const { attributes } = await temporal.describe();
    const missing = Object.values(SEARCH_ATTRIBUTES).filter((name) => !attributes.includes(name));
    if (missing.length === 0) return Object.values(SEARCH_ATTRIBUTES).join(', ');
    throw new HoldfastError('InvalidConfiguration', `the namespace lacks ${missing.join(', ')}`, {
      hint: `temporal operator search-attribute create ${missing.map((name) => `--name ${name}`).join(' ')} --type Keyword`,
    });
  }),
  await look('retention of runs', async () => {
    const { retentionMs } = await temporal.describe();
    const longest = Math.max(parseDuration(loaded.config.parkLimit), DAY_MS);
    const text = `the namespace keeps a run that has ended for ${formatDuration(retentionMs)}`;
    // Evidence is in the repository; what ended longer ago cannot be looked at in the UI.
    if (retentionMs >= longest) return `${text}; evidence is in the repository`;
    throw new HoldfastError('InvalidConfiguration', `${text}: nobody can look at it the day after`, {
      hint: 'temporal operator namespace update --retention 72h',
    });
  }),
  await look('workers', async () => {
    const { hosts, sites } = loaded.config;
    await temporal.requireHosts(Object.keys(hosts));
    for (const site of Object.keys(sites)) await temporal.requireServed(site, []);
    return `the queues of control, of ${countOf(Object.keys(hosts).length, 'host')} and of ${countOf(Object.keys(sites).length, 'site')} are served`;
  }),
  await look('schedules', async () => {
    const { count, wrong, paused } = await temporal.schedules();
    if (wrong.length > 0) {
      throw new HoldfastError(
        'InvalidConfiguration',
        `${wrong.slice(0, 3).join(', ')}${wrong.length > 3 ? ` and ${wrong.length - 3} more` : ''} ${wrong.length === 1 ? 'is' : 'are'} missing, or not as configured`,
        {
          hint: 'holdfast schedules apply',
        },
      );
    }
    if (paused.length > 0) {
      throw new HoldfastError(
        'InvalidConfiguration',
        `${paused.join(', ')} ${paused.length === 1 ? 'is' : 'are'} paused`,
        {
          hint: `temporal schedule toggle --unpause --schedule-id ${paused[0]}`,
        },
      );
    }
    return `all ${count} are as configured`;
  }),
];

const DAY_MS = 86_400_000;
