import { relative, sep } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The folders of test/ by how long their files take, the longest first. */
const FOLDERS = ['e2e', 'engine', 'workflow', 'replay', 'unit'];

/** Starts long files first, so that none is left to run alone at the end: a clean checkout knows no times of an earlier run. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      FOLDERS.indexOf(relative(import.meta.dirname, moduleId).split(sep)[0] ?? '');
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rank(one) - rank(other));
  }
}
