import { Command } from 'commander';
import type { AuditReport } from '../../model/audit.ts';
import { EXIT } from '../exit.ts';
import { interruptible, reporter } from '../long-command.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { withRepository } from '../recoverable.ts';
import { writeOut } from '../write-out.ts';

interface Options {
  html?: true;
  out?: string;
  thorough?: true;
}

/** A person waits, but not for one slow answer of many thousand to end it all. */
const PATIENCE_MS = 60_000;

export function auditCommand(): Command {
  const command = new Command('audit')
    .summary('what of the repository will be gone when, and which promise that breaks')
    .description(
      'Read every version, rule and lock that is there, and play the calendar a year forward: the first day on which something that something else needs is gone, on which a promise does not hold, and what is wrong today. Changes nothing.',
    )
    .option('--html', 'one page with a calendar of every database: no script, nothing from anywhere')
    .option('--out <file>', 'write it to this file')
    .option('--thorough', 'ask every object for its lock and key; else a sample of those that a tool wrote')
    .addHelpText(
      'after',
      `
Exit code 1 where something is critical. Uses repository.restoreCredentials, where there are any.

Examples:
  holdfast repository audit
  holdfast repository audit --html --out audit.html`,
    );
  return withGlobalOptions(command).action(
    action(async (options: Options, self: Command) => {
      const { config, output, print } = await openContext(self, 'now');
      const { auditRepository } = await import('../../repository/audit/report.ts');
      const progress = output === 'text' ? reporter() : () => {};
      const thorough = options.thorough === true;
      const report = await interruptible((signal) =>
        withRepository(
          config,
          (repository) =>
            auditRepository(config, repository, { now: new Date(), thorough, signal, progress }),
          PATIENCE_MS,
        ),
      );
      const text = await formOf(options, report);
      if (options.out === undefined) print(report, text);
      else {
        const file = await writeOut(options.out, output === 'json' ? JSON.stringify(report, null, 2) : text);
        print({ file, findings: report.findings }, file);
      }
      const isCritical = report.findings.some(({ severity }) => severity === 'critical');
      return isCritical ? EXIT.failed : EXIT.done;
    }),
  );
}

async function formOf({ html, out }: Options, report: AuditReport): Promise<string> {
  if (html === true) return (await import('../audit/page.ts')).auditPage(report);
  return (await import('../audit/text.ts')).formatAudit(report, out === undefined ? terminalWidth() : null);
}
