import { readFile, writeFile } from 'node:fs/promises';

const MIB = 1024 * 1024;

/** Resident bytes of a process now, and the most since its start or the last {@link forgetPeak} (proc(5)). */
export async function residentBytes(pid: number): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** Sets the kernel's own high-water mark back to what is resident now, so that no sample is missed. */
export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
}

/** The worker's memory beside the work that it does. */
export class WorkerMemory {
  readonly pid: number;
  readonly idleBytes: number;
  readonly #peaks = new Map<string, number[]>();

  constructor(pid: number, idleBytes: number) {
    this.pid = pid;
    this.idleBytes = idleBytes;
  }

  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    await forgetPeak(this.pid);
    const result = await work();
    const { peak } = await residentBytes(this.pid);
    this.#peaks.set(what, [...(this.#peaks.get(what) ?? []), (peak - this.idleBytes) / MIB]);
    return result;
  }

  /** MiB above idle, by what was done. */
  get peaks(): ReadonlyMap<string, readonly number[]> {
    return this.#peaks;
  }
}
