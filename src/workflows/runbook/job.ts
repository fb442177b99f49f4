import { isCancellation, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../../model/attribute.ts';
import type { EngineKind } from '../../model/engine.ts';
import type { Outcome } from '../../model/runbook.ts';
import { raise } from '../alerts.ts';
import { jobAlert } from './alerts.ts';
import { endWith, failureOf, textOf } from './failure.ts';

export interface Job {
  /** `tells`: people are told when it fails; absent in the history of a run that an earlier version began */
  begin(engine: EngineKind, tells?: boolean): void;
  run<T extends object>(work: () => Promise<T>): Promise<T>;
}

/** The visible frame of a job without decisions: a backup. Ends with the result or a failure of a listed type. */
export function openJob(type: string, database: string): Job {
  const show = (outcome: Outcome, text: string) => {
    upsertSearchAttributes({ [SEARCH_ATTRIBUTES.outcome]: [outcome] });
    setCurrentDetails(`## ${type} of ${database}: ${outcome}\n\n${text}`);
  };
  upsertSearchAttributes({
    [SEARCH_ATTRIBUTES.database]: [database],
    [SEARCH_ATTRIBUTES.runbook]: [type],
  });
  show('running', '');
  let isTold = false;
  return {
    begin: (engine, tells = false) => {
      isTold = tells;
      upsertSearchAttributes({ [SEARCH_ATTRIBUTES.engine]: [engine] });
    },
    run: async (work) => {
      try {
        const result = await work();
        show('completed', `\`\`\`json\n${JSON.stringify(result, null, 2)}\n\`\`\``);
        return result;
      } catch (error) {
        if (isCancellation(error)) {
          show('cancelled', '');
          throw error;
        }
        const failure = failureOf(error);
        show('failed', textOf(failure));
        if (isTold) await raise(jobAlert(type, database, textOf(failure)));
        throw endWith(failure);
      }
    },
  };
}
