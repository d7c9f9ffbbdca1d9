/** What can go wrong between us and an app-server; nothing here is ever retried by the client itself. */

/** The server answered with an error: what was asked for was not done. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  constructor(
    readonly method: string,
    readonly code: number,
    /** The server's own words. */
    message: string,
    readonly data: unknown = undefined,
  ) {
    super(message);
  }

  /** SIGTERM has reached it: running turns end, new work needs another server. */
  get draining(): boolean {
    const { data } = this;
    return typeof data === "object" && data !== null && "reason" in data &&
      data.reason === "serverShuttingDown";
  }
}

/**
 * Why there is no connection.
 * `absent`: nobody listens there, which is proven. `rejected`: the handshake was refused (token, `Origin`).
 * `timeout`: no answer in time, e.g. a frozen server. `failed`: could not be opened for another reason.
 * `closed`: it was open and is gone. `garbled`: the other side does not speak this protocol.
 */
export type Loss = "absent" | "rejected" | "timeout" | "failed" | "closed" | "garbled";

/** There is no connection (any more). What was asked for and not answered may have been done. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  constructor(
    readonly loss: Loss,
    message: string,
    /** False: what was asked for never left this process. */
    readonly sent: boolean,
  ) {
    super(message);
  }
}

/** No answer within the deadline, on a connection that is still open. It may be done yet. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  constructor(readonly method: string, readonly timeoutMs: number) {
    super(`${method}: no answer within ${timeoutMs} ms`);
  }
}

/** The server said something under a known name in a form that this version of dev-sessions does not know. */
export class UnexpectedFrame extends Error {
  override readonly name = "UnexpectedFrame";
  constructor(readonly frame: string, readonly why: string) {
    super(`${frame} has an unknown form (${why})`);
  }
}
