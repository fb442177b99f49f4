import type { ServerAccess } from '../../model/access.ts';
import type { Run } from '../../model/progress.ts';
import type { KnownRelations } from '../contract/read.ts';

/** Engine.listRelations: none. The server's logs name tables themselves, whether or not they are still there. */
export async function listRelations(_access: ServerAccess, _run: Run): Promise<KnownRelations> {
  return { relations: [], refused: [] };
}
