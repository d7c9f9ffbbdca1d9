/** A build that is stopped ends what it has started and removes what it has made, before it goes. */

/** As a shell reports a process that a signal has ended. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** A signal has stopped this process. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";

  constructor(readonly exitCode: number) {
    super("Stopped");
  }
}

/** From now on signals do not end this process; they abort what is returned, with a `StoppedError` as the reason. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const [name, exitCode] of Object.entries(EXIT_CODES)) {
    Deno.addSignalListener(name as Deno.Signal, () => controller.abort(new StoppedError(exitCode)));
  }
  return controller.signal;
}
