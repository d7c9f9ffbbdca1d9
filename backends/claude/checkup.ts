/** Examines Claude Code for `doctor`: reads its files and asks for its version; starts no session and spends nothing. */

import * as v from "valibot";
import type { Checkup, World } from "../../lib/doctor/world.ts";
import { note } from "../../lib/doctor/finding.ts";
import { AppError } from "../../lib/errors.ts";
import { isThere } from "../../lib/files.ts";
import { claudeConfigFolder, claudeStateFile } from "../../lib/paths.ts";
import { folderOf } from "../../lib/posix_path.ts";
import { locatedProgram, versionOf } from "../program.ts";
import {
  judgeHooks,
  judgeOnboarding,
  judgeSignIn,
  judgeTrust,
  judgeVersion,
  type SettingsFile,
  SIGN_IN_VARIABLES,
  type SignInEvidence,
} from "./checkup_judge.ts";
import { checkTmux } from "./checkup_tmux.ts";
import { CLAUDE_PROGRAM } from "./program.ts";
import { isTrusted } from "./trust.ts";

/** Characters of a key by which Claude remembers whether to use it. */
const KEY_TAIL_CHARS = 20;

const SettingsSchema = v.looseObject({
  env: v.optional(v.record(v.string(), v.unknown())),
  apiKeyHelper: v.optional(v.unknown()),
  disableAllHooks: v.optional(v.unknown()),
  allowManagedHooksOnly: v.optional(v.unknown()),
});
const ConfigSchema = v.looseObject({
  hasCompletedOnboarding: v.optional(v.unknown()),
  primaryApiKey: v.optional(v.unknown()),
  customApiKeyResponses: v.optional(v.looseObject({
    approved: v.optional(v.array(v.unknown()), []),
    rejected: v.optional(v.array(v.unknown()), []),
  })),
});
const CredentialsSchema = v.looseObject({
  claudeAiOauth: v.looseObject({
    accessToken: v.string(),
    refreshToken: v.optional(v.nullable(v.string())),
    expiresAt: v.optional(v.nullable(v.number())),
  }),
});

export async function checkClaude(world: World): Promise<Checkup> {
  const { deps, paths } = world;
  const binary = locatedProgram(CLAUDE_PROGRAM, deps);
  if (binary === null) {
    const findings = [
      note("claude", "Claude Code is not installed", {
        why: "only sessions with --cli claude need it",
        fix: ["Install it", "npm install -g @anthropic-ai/claude-code"],
      }),
    ];
    return { agent: "claude", installed: false, findings };
  }
  const configFolder = claudeConfigFolder(deps.env, paths.home);
  const folder = currentFolderOf(deps);
  const configFile = claudeStateFile(paths.home, deps.env["CLAUDE_CONFIG_DIR"] ? configFolder : null);
  const [version, tmux] = await Promise.all([versionOf(CLAUDE_PROGRAM, binary, deps), checkTmux(world)]);
  const files = settingsFiles(configFolder, folder);
  const config = read(configFile, ConfigSchema);
  const onboarded = config === "absent"
    ? false
    : config === "garbled"
    ? null
    : config.hasCompletedOnboarding === true;
  return {
    agent: "claude",
    installed: true,
    findings: [
      judgeVersion(binary, version),
      ...judgeOnboarding(onboarded, configFile),
      judgeSignIn(signInEvidence(world, configFolder, config, files)),
      ...judgeHooks(files),
      ...world.config.defaults.mode === "native" && folder !== null
        ? judgeTrust(isTrustedHere(configFile, folder), folder)
        : [],
      ...tmux,
    ],
  };
}

type Settings = v.InferOutput<typeof SettingsSchema>;
type ReadSettings = SettingsFile & { readonly settings: Settings };

/** Null where it is gone. */
function currentFolderOf(deps: World["deps"]): string | null {
  try {
    return deps.cwd();
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

/** Those that are there, of all sources that apply in a folder. */
function settingsFiles(configFolder: string, folder: string | null): ReadSettings[] {
  const managed = Deno.build.os === "darwin" ? "/Library/Application Support/ClaudeCode" : "/etc/claude-code";
  const places: (readonly [SettingsFile["source"], string])[] = [
    ["managed", `${managed}/managed-settings.json`],
    ...jsonFilesIn(`${managed}/managed-settings.d`).map((path) => ["managed", path] as const),
    ["user", `${configFolder}/settings.json`],
    ...folder === null ? [] : [
      ["folder", `${folder}/.claude/settings.json`],
      ["folder", `${folder}/.claude/settings.local.json`],
    ] as const,
  ];
  return places.flatMap(([source, path]) => {
    const found = read(path, SettingsSchema);
    if (found === "absent") return [];
    const settings: Settings = found === "garbled" ? {} : found;
    return [{
      path,
      source,
      settings,
      disableAllHooks: settings.disableAllHooks === true,
      allowManagedHooksOnly: settings.allowManagedHooksOnly === true,
      garbled: found === "garbled",
    }];
  });
}

function jsonFilesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".json"))
      .map(({ name }) => `${folder}/${name}`).sort();
  } catch {
    return [];
  }
}

function signInEvidence(
  { deps }: World,
  configFolder: string,
  config: v.InferOutput<typeof ConfigSchema> | "absent" | "garbled",
  files: readonly ReadSettings[],
): SignInEvidence {
  // A folder's own settings are asked about first, and are not for the sign-in of others.
  const trusted = files.filter(({ source }) => source !== "folder");
  const env: Record<string, unknown> = Object.assign(
    { ...deps.env },
    ...trusted.map(({ settings }) => settings.env),
  );
  const known = typeof config === "string" ? {} : config;
  const key = String(env["ANTHROPIC_API_KEY"] ?? "").slice(-KEY_TAIL_CHARS);
  const responses = known.customApiKeyResponses;
  return {
    variables: new Set(SIGN_IN_VARIABLES.filter((name) => isSet(env[name]))),
    apiKey: responses?.approved.includes(key)
      ? "approved"
      : responses?.rejected.includes(key)
      ? "rejected"
      : "unasked",
    apiKeyHelper: trusted.some(({ settings }) => isSet(settings.apiKeyHelper)),
    credentials: credentialsIn(configFolder, deps.clock.now()),
    storedKey: isSet(known.primaryApiKey),
    keychain: Deno.build.os === "darwin",
  };
}

function credentialsIn(configFolder: string, now: number): SignInEvidence["credentials"] {
  const found = read(`${configFolder}/.credentials.json`, CredentialsSchema);
  if (found === "absent") return "absent";
  if (found === "garbled") return "unreadable";
  const { accessToken, refreshToken, expiresAt } = found.claudeAiOauth;
  if (accessToken === "") return "absent";
  return !refreshToken && expiresAt && expiresAt < now ? "expired" : "valid";
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "" && value !== "0" && value !== "false";
}

/** From the folder up to the top of its repository; outside of one, up to the root. */
function isTrustedHere(configFile: string, folder: string): boolean {
  let top = folder;
  while (top !== "/" && !isThere(`${top}/.git`)) top = folderOf(top);
  try {
    return isTrusted(Deno.readTextFileSync(configFile), folder, top);
  } catch {
    return false;
  }
}

function read<S extends v.GenericSchema>(path: string, schema: S): v.InferOutput<S> | "absent" | "garbled" {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory
      ? "absent"
      : "garbled";
  }
  try {
    const parsed = v.safeParse(schema, JSON.parse(text));
    return parsed.success ? parsed.output : "garbled";
  } catch {
    return "garbled";
  }
}
