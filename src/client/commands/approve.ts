import type { Command } from 'commander';
import { decideCommand } from './decide.ts';

export const approveCommand = (): Command => decideCommand('approve');
