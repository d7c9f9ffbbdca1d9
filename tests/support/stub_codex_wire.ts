/** One client of the stub app-server: frames in, frames out, as the real server frames them. */

export type Emit = (method: string, params: unknown) => void;

/** What the server answers instead of a result. */
export class RpcFault extends Error {
  constructor(readonly code: number, message: string, readonly data?: unknown) {
    super(message);
  }
}

export interface StubClient {
  send(frame: unknown): void;
  /** Unless the client has opted out of it, or has not been initialized. */
  notify: Emit;
}

export interface Frame {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
}
