/**
 * `upgrade`: a newer release in place of the executable that runs, by the installer that put it there. An older one
 * only where its version is named.
 */

import { buildCommand } from "@stricli/core";
import installer from "../../install.sh" with { type: "text" };
import type { Deps } from "../deps.ts";
import { AppError } from "../errors.ts";
import { isVersion, latestVersion, releasesAt } from "../releases.ts";
import type { Program } from "../self_command.ts";
import { compareVersions } from "../semver.ts";
import { VERSION } from "../version.ts";
import type { Result } from "./output.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly to: string | undefined;
  readonly json: boolean;
}

/** A download of 100 MB over a slow line. */
const LIMIT_MS = 30 * 60_000;
/** For what the installed executable is asked. */
const ANSWER_LIMIT_MS = 10_000;
const INSTALLED_AS = /^(\/.*)\/bin\/dev-sessions$/s;
const FROM_SOURCE = "In its checkout run: git pull && sh install.sh --from-source";

export async function run({ to }: { readonly to: string | null }, { deps }: CliContext): Promise<Result> {
  const { prefix, executable } = placeOf(deps.program());
  const releases = releasesAt(deps.env, installer);
  if (releases === null) throw cannot("it was built from a checkout", FROM_SOURCE);
  if (to === null) {
    const latest = await latestVersion(releases, deps);
    if (!isNewer(latest, VERSION)) {
      return {
        notes: await skillsNote(executable, deps),
        text: `dev-sessions ${VERSION} is current`,
        json: { from: VERSION, to: VERSION, executable },
      };
    }
    // By its number: what is the latest release may change before it is downloaded.
    return await install(latest, { prefix, executable, isNamed: false }, deps);
  }
  return await install(to, { prefix, executable, isNamed: true }, deps);
}

interface Place {
  readonly prefix: string;
  readonly executable: string;
}

async function install(
  version: string,
  { prefix, executable, isNamed }: Place & { readonly isNamed: boolean },
  deps: Deps,
): Promise<Result> {
  const args = ["--prefix", prefix, "--no-skills", "--no-service", "--version", version];
  const ended = await deps.run("/bin/sh", ["-s", "--", ...args], {
    env: deps.env,
    stdin: installer,
    timeoutMs: LIMIT_MS,
  });
  if (ended.kind !== "exited" || ended.code !== 0) {
    throw failed(ended.kind === "exited" ? ended.stderr : null, isNamed);
  }
  const installed = await versionOf(executable, deps);
  return {
    notes: [...lines(ended.stdout), ...lines(ended.stderr), ...await skillsNote(executable, deps)],
    text: sentence(VERSION, installed),
    json: { from: VERSION, to: installed, executable },
  };
}

/** @throws AppError for a latest release that is older, or whose version can't be compared. Pure. */
export function isNewer(latest: string, own: string): boolean {
  const order = compareVersions(latest, own);
  if (order !== null && order >= 0) return order > 0;
  throw cannot(
    `the latest release is ${latest}, ${
      order === null ? `which can't be compared with this one, ${own}` : `older than this one, ${own}`
    }`,
    `Nothing was changed; to install it nevertheless: dev-sessions upgrade --to ${latest}`,
  );
}

/** What was done, for people. Pure. */
export function sentence(from: string, to: string): string {
  if (from === to) return `Installed dev-sessions ${to} again`;
  const order = compareVersions(to, from);
  return order !== null && order > 0
    ? `Upgraded dev-sessions ${from} to ${to}`
    : `Installed dev-sessions ${to} in the place of ${from}${
      order !== null && order < 0 ? ", which is newer" : ""
    }`;
}

/** @throws AppError for what the installer has not put there, or can't replace. */
export function placeOf(program: Program): Place {
  switch (program.kind) {
    case "source":
    case "bundle":
      throw cannot("it runs from a checkout or a bundle", FROM_SOURCE);
    case "launcher":
    case "compiled":
      break;
  }
  const { executable } = program;
  const prefix = INSTALLED_AS.exec(executable)?.[1];
  if (prefix === undefined) {
    throw cannot(
      `"${executable}" was not put there by install.sh, which names it bin/dev-sessions`,
      "Install the new version by hand, as you did this one",
    );
  }
  return { prefix, executable };
}

async function versionOf(executable: string, { run, env }: Deps): Promise<string> {
  const said = await run(executable, ["--version"], { env, timeoutMs: ANSWER_LIMIT_MS });
  const version = said.kind === "exited" && said.code === 0 ? said.stdout.trim() : "";
  if (version !== "") return version;
  throw new AppError(
    "failure",
    `The new version is installed, but "${executable}" does not tell its version`,
  );
}

/** What is to be done about installed skills of another version than the executable's, which knows them best. */
async function skillsNote(executable: string, { run, env }: Deps): Promise<string[]> {
  const asked = ["install-skill", "--dry-run", "--json"];
  const said = await run(executable, asked, { env, timeoutMs: ANSWER_LIMIT_MS });
  const outdated = said.kind === "exited" ? outdatedIn(said.stdout) : 0;
  if (outdated === 0) return [];
  const skills = outdated === 1 ? "1 installed skill is" : `${outdated} installed skills are`;
  return [
    `${skills} of another version; to replace ${outdated === 1 ? "it" : "them"}: dev-sessions install-skill`,
  ];
}

/** How many skills are outdated by what `install-skill --json` printed; 0 where another version says it otherwise. */
function outdatedIn(printed: string): number {
  try {
    const { skills } = JSON.parse(printed);
    return skills.filter(({ state }: { readonly state: unknown }) => state === "outdated").length;
  } catch {
    return 0;
  }
}

function lines(text: string): string[] {
  return text.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "");
}

function failed(stderr: string | null, isNamed: boolean): AppError {
  const said = stderr === null ? [] : lines(stderr);
  // Notes may stand before the reason.
  const at = said.findIndex((line) => line.startsWith("install.sh: "));
  const why = said[at]?.replace(/^install\.sh: (?:Cannot [^:]+: )?/, "") ??
    "the installer did not come to its end";
  const rest = said.filter((_, index) => index !== at);
  return new AppError(
    "failure",
    `Cannot upgrade dev-sessions: ${inOurWords(why, isNamed)}`,
    rest.length === 0 ? null : rest.join("\n"),
  );
}

/** What the installer says of options that `upgrade` has not, or has by another name. */
export const OF_INSTALLER = {
  version: "Without --version you get the latest",
  prefix: "Choose another one with --prefix <folder>",
} as const;

/** Pure. */
export function inOurWords(reason: string, isNamed: boolean): string {
  return reason
    .replace(OF_INSTALLER.version, isNamed ? "Without --to you get the latest" : "")
    .replace(OF_INSTALLER.prefix, "Upgrade it as a user who may write there")
    .trimEnd();
}

function cannot(why: string, help: string): AppError {
  return new AppError("failure", `Cannot upgrade dev-sessions: ${why}. ${help}`);
}

function release(input: string): string {
  const version = input.replace(/^v/, "");
  if (isVersion(version)) return version;
  throw usageError(`--to must be a version such as ${VERSION}: ${JSON.stringify(input)}`);
}

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "Install a newer release",
    fullDescription:
      `Install the latest release in place of this executable, unless that is older; --to installs any release, also an
older one. What is downloaded is checked before it replaces anything; if anything fails, what was there stays.
Sessions and running commands go on. The gateway's service and the installed skills stay those of the version before
until they are installed again, with: dev-sessions gateway install
and: dev-sessions install-skill

Examples:
  dev-sessions upgrade
  dev-sessions upgrade --to ${VERSION}`,
  },
  parameters: {
    flags: {
      to: {
        kind: "parsed",
        parse: release,
        optional: true,
        brief: "Version to install (the latest)",
        placeholder: "version",
      },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print both versions as JSON" },
    },
  },
  func({ to, json }) {
    this.accept({ json, long: false, run: (context) => run({ to: to ?? null }, context) });
  },
});
