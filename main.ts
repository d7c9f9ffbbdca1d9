/** argv -> command -> exit code. */

import { reportCrash, runCli } from "./lib/cli/app.ts";
import { argumentBytes, onStop, realDeps, runInTerminal } from "./lib/real_deps.ts";
import { VERSION } from "./lib/version.ts";

const deps = realDeps();

const crash = (event: Event, error: unknown) => {
  event.preventDefault();
  Deno.exit(reportCrash(error, deps));
};
addEventListener("unhandledrejection", (event) => crash(event, event.reason));
addEventListener("error", (event) => crash(event, event.error));

const exitCode = await runCli(Deno.args, {
  deps,
  version: VERSION,
  openService: async (deps) => (await import("./lib/open_service.ts")).openService(deps),
  runInTerminal,
  argumentBytes,
  onStop,
});
Deno.exit(exitCode);
