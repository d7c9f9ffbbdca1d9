/** Where the releases are and which is the latest one: asked with the tools and settings that `install.sh` uses. */

import type { Deps } from "./deps.ts";
import { AppError } from "./errors.ts";

/** For one line of text, with a retry. */
const ASK_LIMIT_MS = 60_000;
const CONNECT_LIMIT_S = 20;
/** What `install.sh` accepts as one; it becomes part of an address. */
const VERSION = /^\d[0-9A-Za-z.+-]*$/;

/** The address of the releases, without a slash at its end; null where neither the user nor the installer names one. */
export function releasesAt(env: Deps["env"], installer: string): string | null {
  const stamped = /^DEFAULT_BASE_URL="(.*)"$/m.exec(installer)?.[1];
  const base = (env["DEV_SESSIONS_BASE_URL"] || stamped || "").replace(/\/+$/, "");
  if (base === "") return null;
  if (/^https?:\/\/\S+$/.test(base)) return base;
  throw new AppError(
    "failure",
    `Cannot download from ${JSON.stringify(base)}: it is not an http address. Correct DEV_SESSIONS_BASE_URL`,
  );
}

/** Whether the text can be the version of a release, as people write it but without a "v". */
export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

/** @throws AppError where the releases do not say which one is the latest. */
export async function latestVersion(
  releases: string,
  { run, env }: Pick<Deps, "run" | "env">,
): Promise<string> {
  const url = `${releases}/latest/download/VERSION`;
  const unknown = (why: string) =>
    new AppError(
      "failure",
      `Cannot tell which release is the latest: ${why}. Name a version: dev-sessions upgrade --to <version>`,
    );
  for (const [command, ...args] of fetchers(url)) {
    const ended = await run(command, [...args], { env, timeoutMs: ASK_LIMIT_MS });
    switch (ended.kind) {
      case "not_found":
        continue;
      case "timed_out":
        throw unknown(`"${url}" has not come within ${ASK_LIMIT_MS / 1_000} s`);
      case "exited": {
        if (ended.code !== 0) {
          throw unknown(`"${url}" can't be read: ${lastLine(ended.stderr) || `exit code ${ended.code}`}`);
        }
        const version = ended.stdout.trim();
        if (!isVersion(version)) throw unknown(`what "${url}" holds is no version`);
        return version;
      }
    }
  }
  throw new AppError("failure", "Cannot download dev-sessions: there is neither curl nor wget. Install curl");
}

/** What prints a file to stdout; the first one that is installed is used. */
function fetchers(url: string): readonly (readonly [command: string, ...args: string[]])[] {
  // A redirect must not lead from https to http.
  const protocols = url.startsWith("https:") ? "=https" : "=http,https";
  const limits = ["--retry", "2", "--connect-timeout", String(CONNECT_LIMIT_S)];
  return [
    ["curl", "--fail", "--silent", "--show-error", "--location", "--proto", protocols, ...limits, url],
    // That of busybox knows no more.
    ["wget", "-O", "-", url],
  ];
}

function lastLine(text: string): string {
  return text.trimEnd().split(/[\r\n]/).at(-1)?.trim() ?? "";
}
