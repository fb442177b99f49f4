import { Command } from 'commander';
import { describeDatabase } from '../../config/describe.ts';
import { EXIT } from '../exit.ts';
import { action, openContext, withGlobalOptions } from '../options.ts';
import { terminalWidth } from '../output.ts';
import { readCatalogOf } from '../recoverable.ts';
import { formatCatalog } from '../view/catalog.ts';

export function catalogCommand(): Command {
  const command = new Command('catalog')
    .description(
      'what can be recovered, and from which backups: read from the repository, nothing else has to run',
    )
    .argument('<database>', 'a database of the configuration')
    .addHelpText(
      'after',
      `
In the picture, F is a full and d a differential physical backup, L a logical one; = is where every moment can
be recovered, | a single point, x a gap in the logs.

Examples:
  holdfast catalog shop
  holdfast catalog shop --output json`,
    );
  return withGlobalOptions(command).action(
    action(async (name: string, _options: unknown, self: Command) => {
      const { config, print } = await openContext(self, 'now');
      const database = describeDatabase(config.config, name);
      const catalog = await readCatalogOf(config, database, {
        holds: config.config.repository.lock !== undefined,
      });
      const objectiveSeconds = database.objectives.rpoMs / 1_000;
      print(catalog, formatCatalog({ catalog, objectiveSeconds, now: new Date(), width: terminalWidth() }));
      return EXIT.done;
    }),
  );
}
