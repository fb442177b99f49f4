/** The code blocks of a RESTORE.md, in order, each exactly as a person would copy it. */
export function blocksOf(document: string, language = 'sh'): string[] {
  return [...document.matchAll(/^```(\S+)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code]) => code as string);
}
