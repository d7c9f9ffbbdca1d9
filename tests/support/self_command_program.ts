/**
 * A program in dev-sessions' place: at each line of stdin it prints the command that would start it again with `again`,
 * what of the launcher its environment shows, its HOME and its folder. Its only argument `again` makes it say so and end.
 */

import { AppError } from "../../lib/errors.ts";
import { realDeps } from "../../lib/real_deps.ts";
import { selfCommand } from "../../lib/self_command.ts";

const deps = realDeps();
const say = (value: unknown) => Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));

function folder(): string {
  try {
    return deps.cwd();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.message;
  }
}

if (Deno.args.length > 0) {
  say({ args: Deno.args, kind: deps.program().kind, home: deps.env["HOME"] ?? null, folder: folder() });
} else {
  for (const buffer = new Uint8Array(64); await Deno.stdin.read(buffer) !== null;) {
    const names = [
      "DEV_SESSIONS_EXECUTABLE",
      "DENO_NO_UPDATE_CHECK",
      "DEV_SESSIONS_CALLER_HOME",
      "DEV_SESSIONS_FOLDER_GONE",
    ];
    const left = names.filter((name) => deps.env[name] !== undefined);
    try {
      say({ ...selfCommand(["again"], deps), left });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      say({ error: error.message });
    }
  }
}
