import { workflowInfo } from '@temporalio/workflow';
import { DRILL_MEMO } from '../../model/drill.ts';

/**
 * Whether this run is the recovery of a drill. It goes up to the decision and is rejected there by nobody's will but
 * the drill's, so that it needs no right to change production, keeps no real recovery out, asks and tells nobody, and
 * does not wait for what somebody could mend.
 */
export const isDrill = (): boolean => typeof workflowInfo().memo?.[DRILL_MEMO] === 'string';
