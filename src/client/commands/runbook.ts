import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { describeDatabase, protectionOf } from '../../config/describe.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { HoldfastError } from '../../model/failure.ts';
import { EXIT } from '../exit.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { withRepository } from '../recoverable.ts';
import { type RunbookDocument, runbookDocuments } from '../runbook-document/documents.ts';
import { factsOf } from '../runbook-document/facts.ts';
import type { Measured } from '../runbook-document/measured.ts';
import { againOptions } from '../session.ts';
import { temporalPlace } from '../temporal.ts';

export function runbookCommand(): Command {
  const command = new Command('runbook')
    .description(
      'the three restore runbooks as documents for this database: its names, commands, objectives and measured times',
    )
    .argument('<database>', 'a database of the configuration')
    .option('--out <folder>', 'write a file each, <database>-<runbook>.md, instead of to stdout')
    .addHelpText(
      'after',
      `
It needs no server: times of earlier runs are read from the repository where that answers.

Examples:
  holdfast runbook shop
  holdfast runbook shop --out runbooks`,
    );
  return withGlobalOptions(command).action(
    action(async (name: string, options: { out?: string }, self: Command) => {
      const { config, print } = await openContext(self, 'if known');
      const database = describeDatabase(config.config, name);
      const facts = factsOf(config.config, database, {
        temporal: temporalPlace(config),
        protection: protectionOf(name, database.config).lines,
        again: againOptions(self),
        ...(await measure(config, name)),
        writtenAt: new Date(),
      });
      if (facts.measuredNote !== null) process.stderr.write(`note: ${facts.measuredNote}\n`);
      const documents = runbookDocuments(facts);
      const files = options.out === undefined ? null : await writeFiles(options.out, name, documents);
      print(
        { database: name, documents },
        files?.join('\n') ?? documents.map(({ markdown }) => markdown).join('\n\n'),
      );
      return EXIT.done;
    }),
  );
}

/** Documents are wanted most when things are away: a repository that does not answer is only noted. */
async function measure(
  config: LoadedConfig,
  database: string,
): Promise<{ measured: Measured[] | null; measuredNote: string | null }> {
  const { readMeasured } = await import('../runbook-document/measured.ts');
  try {
    const measured = await withRepository(config, (repository) => readMeasured(repository, database));
    return { measured, measuredNote: null };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { measured: null, measuredNote: `the times of earlier runs could not be read: ${why}` };
  }
}

async function writeFiles(
  folder: string,
  database: string,
  documents: readonly RunbookDocument[],
): Promise<string[]> {
  const place = resolve(folder);
  const files = documents.map(({ name }) => join(place, `${database}-${name}.md`));
  try {
    await mkdir(place, { recursive: true });
    for (const [index, file] of files.entries()) await writeFile(file, documents[index]?.markdown ?? '');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new HoldfastError('InvalidInput', `${place} cannot be written (${code})`, {
      hint: 'name another folder with --out',
    });
  }
  return files;
}
