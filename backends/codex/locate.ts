/** Finds the Codex executable as the user's shell would, by absolute path. */

import { AppError } from "../../lib/errors.ts";
import { folderOf } from "../../lib/posix_path.ts";
import { executableOnPath, isExecutableFile } from "../executable.ts";

const INSTALL = "npm install -g @openai/codex";

/**
 * The native executable itself where npm's wrapper leads to one: the wrapper may stay as the parent of what it starts,
 * and takes 60 ms to do so (measured with Node 20).
 * @throws AppError that says how to install it.
 */
export function locateCodex(env: Readonly<Record<string, string>>): string {
  const found = executableOnPath(env, "codex");
  if (found === null) {
    throw new AppError(
      "failure",
      `Cannot start Codex: "codex" was not found on PATH. Install it with: ${INSTALL}`,
    );
  }
  return nativeCandidates(Deno.realPathSync(found), Deno.build).find(isExecutableFile) ?? found;
}

/** Where the wrapper `.../@openai/codex/bin/codex.js` looks for it. Pure; nothing for another program. */
export function nativeCandidates(
  program: string,
  build: { readonly os: string; readonly arch: string },
): string[] {
  const scope = /^(.*)\/codex\/bin\/codex\.js$/.exec(program)?.[1];
  if (scope === undefined) return [];
  const [os, triple] = build.os === "darwin" ? ["darwin", "apple-darwin"] : ["linux", "unknown-linux-musl"];
  const below = `vendor/${build.arch}-${triple}/bin/codex`;
  const platform = `codex-${os}-${build.arch === "aarch64" ? "arm64" : "x64"}`;
  return [
    `${scope}/codex/node_modules/@openai/${platform}/${below}`,
    `${scope}/${platform}/${below}`,
    `${folderOf(folderOf(program))}/${below}`,
  ];
}
