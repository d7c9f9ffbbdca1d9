/** One app-server per CODEX_HOME: taken as it is when one answers, started once when none does. */

import { type CodexServer, findServer, type ServerOptions } from "./find_server.ts";

/**
 * A connection to the server, which is started when there is none.
 * @param starting called when none runs: what is thrown from then on says why none could be started.
 * @throws AppError when it can't be reached, trusted, started, or is too old; the signal's reason.
 */
export async function connectServer(options: ServerOptions, starting = () => {}): Promise<CodexServer> {
  const found = await findServer(options);
  if (found !== null) return found;
  starting();
  const { startServer } = await import("./start_server.ts");
  return await startServer(options);
}
