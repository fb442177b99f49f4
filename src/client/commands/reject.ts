import type { Command } from 'commander';
import { decideCommand } from './decide.ts';

export const rejectCommand = (): Command => decideCommand('reject');
