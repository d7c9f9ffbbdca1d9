/**
 * What a command does at its start: connects to the app-server of its environment, starting one when there is none.
 * Prints `{"origin","version","codexHome","pid","ms"}`, or `{"error","code","detail"}`.
 */

import { connectServer } from "../../backends/codex/server.ts";
import { AppError } from "../../lib/errors.ts";
import { realDeps } from "../../lib/real_deps.ts";

const began = performance.now();
let said: unknown;
try {
  const signal = new AbortController().signal;
  const { connection, origin } = await connectServer({ deps: realDeps(), signal });
  const { process } = await connection.call("server/diagnostics", {});
  const ms = performance.now() - began;
  const { version, codexHome } = connection;
  await connection.close();
  said = { origin, version, codexHome, pid: process.id, ms };
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  said = { error: error.message, code: error.code, detail: error.detail };
}
await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(said) + "\n"));
Deno.exit(0);
