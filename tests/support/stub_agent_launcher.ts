/** Puts the stub agent on a PATH as `claude`. */

/** Writes an executable named `claude` into `folder`, for PATH; its process becomes the stub itself. */
export async function writeStubAgentLauncher(folder: string): Promise<string> {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const folderOfStub = import.meta.dirname;
  if (folderOfStub === undefined) {
    throw new Error("Cannot write the stub's launcher: this module is not a local file");
  }
  const home = Deno.env.get("HOME") ?? "/";
  const cache = Deno.env.get("DENO_DIR") ?? `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/deno`;
  const flags = "-A --no-check --quiet --cached-only --no-config --no-lock";
  const path = `${folder}/claude`;
  await Deno.writeTextFile(
    path,
    `#!/bin/sh\nDENO_DIR=${quote(cache)} DENO_NO_UPDATE_CHECK=1 exec ${quote(Deno.execPath())} run ${flags} ${
      quote(`${folderOfStub}/stub_agent.ts`)
    } "$@"\n`,
    { mode: 0o755 },
  );
  return path;
}
