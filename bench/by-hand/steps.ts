/** A script prints `step <name> <seconds since the epoch>` where a step begins; gives the seconds of each but the last. */
export function stepsOf(output: string): Record<string, number> {
  const begun = [...output.matchAll(/^step (.+) ([\d.]+)$/gm)].map(([, name, at]) => ({
    name: name as string,
    at: Number(at),
  }));
  return Object.fromEntries(
    begun.slice(0, -1).map(({ name, at }, index) => [name, (begun[index + 1]?.at ?? at) - at]),
  );
}
