import { resolve } from 'node:path';
import { Command } from 'commander';
import { findDatabase } from '../../config/describe.ts';
import { EXIT } from '../exit.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { withRepository } from '../recoverable.ts';
import type { Report } from '../report/facts.ts';
import { writeOut } from '../write-out.ts';

interface Options {
  html?: true;
  out?: string;
}

export function reportCommand(): Command {
  const command = new Command('report')
    .summary('objectives, proofs, drills and open findings; --html: a page for an auditor')
    .description(
      'Objectives and how they stand, what can be recovered, which backups were proved by a restore, how long drills took, who decided on what, and what is open. Read from the repository: nothing else has to run.',
    )
    .argument('[database]', 'a database of the configuration (default: all)')
    .option('--html', 'one page that needs nothing else: no script, nothing from anywhere')
    .option('--out <file>', 'write it to this file')
    .addHelpText(
      'after',
      `
Examples:
  holdfast report shop
  holdfast report --html --out report.html`,
    );
  return withGlobalOptions(command).action(
    action(async (name: string | undefined, options: Options, self: Command) => {
      const { config, print } = await openContext(self, 'now');
      const names = name === undefined ? Object.keys(config.config.databases) : [name];
      if (name !== undefined) findDatabase(config.config, name);
      const { readReport } = await import('../report/facts.ts');
      const report = await withRepository(config, (repository) =>
        readReport(config.config, names, repository, new Date()),
      );
      const text = await formOf(options, report);
      if (options.out === undefined) print(report, text);
      else print({ file: await writeOut(options.out, text) }, resolve(options.out));
      return EXIT.done;
    }),
  );
}

async function formOf({ html, out }: Options, report: Report): Promise<string> {
  if (html === true) return (await import('../report/page.ts')).reportPage(report);
  return (await import('../report/text.ts')).formatReport(report, out === undefined ? terminalWidth() : null);
}
