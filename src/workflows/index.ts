export { instanceReaper } from './instance-reaper.ts';
export { logArchiveWatch } from './log-archive-watch.ts';
export { logicalBackup } from './logical-backup.ts';
export { physicalBackup } from './physical-backup.ts';
export { pointInTimeRecovery } from './point-in-time-recovery.ts';
export { productionChange } from './production-change.ts';
export { selectiveTableRestore } from './selective-table-restore.ts';
export { undoImport } from './undo-import.ts';
