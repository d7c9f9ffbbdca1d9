/** Where the releases are and which is the latest one: asked with the tools and settings that `install.sh` uses. */

import type { Deps, RunResult } from "./deps.ts";
import { AppError } from "./errors.ts";

/** For one line of text, with a retry. */
const ASK_LIMIT_MS = 60_000;
const CONNECT_LIMIT_S = 20;
/** It follows a redirection to http, and through a proxy that is not there it gets no further. */
const WGET_WITHOUT_HTTP = ["-t", "2", "-e", "use_proxy=on", "-e", "http_proxy=http://127.0.0.1:1"];
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
  const ended = await download(url, { run, env });
  switch (ended.kind) {
    case "not_found":
      throw new AppError(
        "failure",
        "Cannot download dev-sessions: there is neither curl nor wget. Install curl",
      );
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

/** What the address holds, on stdout. From https nothing leads to http, and the server proves who it is. */
async function download(url: string, { run, env }: Pick<Deps, "run" | "env">): Promise<RunResult> {
  const options = { env, timeoutMs: ASK_LIMIT_MS };
  const isSecure = url.startsWith("https:");
  const limits = ["--retry", "2", "--connect-timeout", String(CONNECT_LIMIT_S)];
  const protocols = ["--proto", isSecure ? "=https" : "=http,https"];
  const curl = ["--fail", "--silent", "--show-error", "--location", ...protocols, ...limits, url];
  const byCurl = await run("curl", curl, options);
  if (byCurl.kind !== "not_found") return byCurl;
  // That of busybox knows no more options.
  const wget = ["-O", "-", url];
  if (!isSecure) return await run("wget", wget, options);
  const about = await run("wget", ["--version"], options);
  if (about.kind === "not_found") return about;
  if (about.kind === "exited" && about.stdout.includes("GNU")) {
    return await run("wget", [...WGET_WITHOUT_HTTP, ...wget], options);
  }
  throw new AppError(
    "failure",
    "Cannot download dev-sessions: there is no curl, and this wget is not known to check certificates. Install curl",
  );
}

function lastLine(text: string): string {
  return text.trimEnd().split(/[\r\n]/).at(-1)?.trim() ?? "";
}
