/** Codex's own terminal program on the session's thread: whatever either side says, both see. */

import type { Deps } from "../../lib/deps.ts";
import { AppError, messageOf } from "../../lib/errors.ts";
import { withoutOuterAgent } from "../outer_agents.ts";
import type { TerminalCommand } from "../../lib/service.ts";
import { describeEndpoint } from "./endpoint.ts";
import { handleOf } from "./handle.ts";
import type { Link } from "./link.ts";
import { locateCodex } from "./locate.ts";
import { isServersFault, type SessionThread } from "./session_thread.ts";

/** Where the terminal program looks for a server's token. */
const TOKEN_VARIABLE = "DEV_SESSIONS_CODEX_REMOTE_TOKEN";

/** Loads the thread with its own settings first, so that it is not the terminal program that does so. */
export async function attachCommand(deps: Deps, link: Link, thread: SessionThread): Promise<TerminalCommand> {
  const { session } = thread;
  const command = locateCodex(deps.env);
  const server = await link.server("start");
  if (server === null) throw new AppError("transport", `Cannot attach to "${session.id}": no server runs`);
  let cwd: string;
  try {
    await thread.subscribe(server.connection);
    cwd = (await server.connection.call("thread/read", { threadId: thread.id })).thread.cwd;
  } catch (error) {
    if (!isServersFault(error)) throw error;
    throw new AppError(
      "failure",
      `Cannot attach to "${session.id}": its thread can't be loaded: ${messageOf(error)}`,
    );
  }
  await link.close();
  const { endpoint } = server;
  const token = endpoint.kind === "ws" ? endpoint.token : null;
  const auth = token === null ? [] : ["--remote-auth-token-env", TOKEN_VARIABLE];
  return {
    command,
    args: ["resume", thread.id, "--remote", describeEndpoint(endpoint), ...auth],
    env: {
      ...withoutOuterAgent(deps.env),
      CODEX_HOME: handleOf(session).codexHome,
      ...(token === null ? {} : { [TOKEN_VARIABLE]: token }),
    },
    // Elsewhere it would ask which folder is meant.
    cwd,
  };
}
