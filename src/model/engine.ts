export const ENGINE_KINDS = ['postgres', 'mysql', 'mongodb'] as const;
export type EngineKind = (typeof ENGINE_KINDS)[number];
