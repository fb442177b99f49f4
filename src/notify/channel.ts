import type { Alert } from '../model/alert.ts';

/** An alert as it goes out: with the page of its run, where there is one. */
export interface Message extends Alert {
  /** of the run in the Temporal UI; null: it is not known, or there is no run */
  url: string | null;
}

/** A way out. Throws HoldfastError ToolFailed, retryable where trying again may help; never with a secret in it. */
export interface Channel {
  send(message: Message, signal: AbortSignal): Promise<void>;
}
