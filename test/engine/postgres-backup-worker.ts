/** Takes the backup that a file describes, and says when files are being copied: to be killed in the middle. */
import { readdirSync, readFileSync } from 'node:fs';
import { backup } from '../../src/engines/postgres/backup.ts';

const input = JSON.parse(readFileSync(process.argv[2] as string, 'utf8'));
await backup(input, {
  signal: new AbortController().signal,
  progress: ({ phase, done }) => {
    if (phase === 'copying files' && (done ?? 0) > 0) process.stdout.write(`copying ${tool()}\n`);
  },
});

function tool(): number {
  const mine = readdirSync('/proc').find((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return (
        stat.includes('(pgbackrest)') &&
        stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(process.pid)
      );
    } catch {
      return false;
    }
  });
  return Number(mine);
}
