import { bareKey } from './policies.ts';

/** Whether a key that S3 names is the one of the configuration; which key an alias means cannot be told from here. */
export function isKey(found: string, wanted: string): boolean {
  if (/^(arn:.*:)?alias\//.test(wanted)) return true;
  const bare = bareKey(wanted);
  return found === wanted || [`/${bare}`, `:${bare}`].some((end) => found.endsWith(end)) || found === bare;
}
