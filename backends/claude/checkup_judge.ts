/** What is seen of an installed Claude Code means for the sessions that are to run it. Pure. */

import { type Finding, note, ok, problem, warning } from "../../lib/doctor/finding.ts";
import type { VersionEvidence } from "../program.ts";

/** The version that everything was tested with. */
export const TESTED_VERSION = "2.1.330";
/** Older ones do not know all hooks that are asked for, and open a dialog for that at their start. */
const OLDEST_VERSION = "2.1.197";

const CHECK = "claude";

export function judgeVersion(binary: string, found: VersionEvidence): Finding {
  if (found.kind === "silent") {
    return problem(CHECK, `Claude Code (${binary}) does not run: ${found.why}`, {
      why: "its sessions can't start",
      fix: ["Install it anew", "npm install -g @anthropic-ai/claude-code"],
    });
  }
  const { version } = found;
  const what = `Claude Code ${version} (${binary})`;
  const [order, least] = [compareVersions(version, TESTED_VERSION), compareVersions(version, OLDEST_VERSION)];
  const update = ["Update it", "claude update"] as const;
  if (least < 0) {
    return warning(CHECK, `${what} is older than ${OLDEST_VERSION}`, {
      why:
        "it may ask at its start about hooks that it does not know, and the session then never accepts input",
      fix: update,
    });
  }
  if (order === 0) return ok(CHECK, what);
  return note(CHECK, `${what} is ${order < 0 ? "older" : "newer"} than ${TESTED_VERSION}, which was tested`, {
    why: "it most likely works: what can't be proven is told as unknown",
    fix: order < 0 ? update : ["Try it", "dev-sessions doctor --selftest"],
  });
}

/** Negative, zero or positive; what follows the numbers does not count. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((text) => text.split(/[-+ ]/, 1)[0]!.split(".").map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (a![at] || 0) - (b![at] || 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Names of variables, never their values. */
export interface SignInEvidence {
  /** Set in the environment, or by the `env` of the settings. */
  readonly variables: ReadonlySet<string>;
  /** What Claude was told about the key in ANTHROPIC_API_KEY. */
  readonly apiKey: "approved" | "rejected" | "unasked";
  readonly apiKeyHelper: boolean;
  /** `.credentials.json` in Claude's folder. */
  readonly credentials: "valid" | "expired" | "absent" | "unreadable";
  /** A key that Claude keeps in its own configuration. */
  readonly storedKey: boolean;
  /** Credentials may be in the system's keychain, which is not looked into. */
  readonly keychain: boolean;
}

/** Any of these hands the sign-in to somebody else. */
const PROVIDERS = [
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_VERTEX",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_ANTHROPIC_AWS",
  "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
  "CLAUDE_CODE_USE_MANTLE",
];
const TOKENS = ["ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
/** What a sign-in may come from; of interest to whoever gathers the evidence. */
export const SIGN_IN_VARIABLES: readonly string[] = [...PROVIDERS, ...TOKENS, "ANTHROPIC_API_KEY"];

/** In the order in which Claude itself looks. */
export function judgeSignIn(found: SignInEvidence): Finding {
  const check = "claude-sign-in";
  const { variables, apiKey } = found;
  const unproven = "whether it is accepted shows with the first message only";
  const provider = PROVIDERS.find((name) => variables.has(name));
  if (provider !== undefined) {
    return ok(check, `Claude Code signs in with a cloud provider (${provider})`, unproven);
  }
  if (variables.has(TOKENS[0]!)) return ok(check, `Claude Code signs in with ${TOKENS[0]}`, unproven);
  if (variables.has("ANTHROPIC_API_KEY")) {
    if (apiKey === "approved") return ok(check, "Claude Code signs in with ANTHROPIC_API_KEY", unproven);
    if (apiKey === "unasked") {
      return problem(check, "Claude Code has not been told yet whether to use the key in ANTHROPIC_API_KEY", {
        why: "it asks at its start, and in a session nobody is there to answer",
        fix: ["Start it once by hand and answer, or unset the variable", "claude"],
      });
    }
  }
  if (found.apiKeyHelper) return ok(check, "Claude Code gets its key from apiKeyHelper", unproven);
  if (variables.has(TOKENS[1]!)) return ok(check, `Claude Code signs in with ${TOKENS[1]}`, unproven);
  if (found.storedKey) return ok(check, "Claude Code has a stored API key", unproven);
  const signIn = ["Sign in (/login)", "claude"] as const;
  switch (found.credentials) {
    case "valid":
      return ok(check, "Claude Code is signed in", unproven);
    case "expired":
      return problem(check, "Claude Code's sign-in has expired", {
        why: "it can't be renewed without you",
        fix: signIn,
      });
    case "unreadable":
      return note(check, "whether Claude Code is signed in can't be told: its credentials can't be read", {
        fix: signIn,
      });
    case "absent":
      break;
  }
  if (found.keychain) {
    return note(check, "whether Claude Code is signed in can't be told: it may be in the keychain", {
      fix: ["See for yourself", "claude auth status"],
    });
  }
  return problem(check, "Claude Code is not signed in", {
    why: variables.has("ANTHROPIC_API_KEY")
      ? "it was told not to use the key in ANTHROPIC_API_KEY, and has no credentials"
      : "there are neither credentials in its folder nor a key or token in the environment",
    fix: signIn,
  });
}

/** @param onboarded what its configuration says; null: it can't be read. */
export function judgeOnboarding(onboarded: boolean | null, file: string): Finding[] {
  const check = "claude-setup";
  const fix = ["Start it once by hand and answer its first questions", "claude"] as const;
  if (onboarded === true) return [];
  if (onboarded === null) {
    return [problem(check, `Claude Code's configuration ${file} can't be read, or is no JSON`, {
      why: "it asks about that at its start, and in a session nobody is there to answer",
      fix,
    })];
  }
  return [problem(check, "Claude Code was never set up for this user", {
    why:
      `it begins with its first questions (${file} says of no answers), and in a session nobody is there to answer`,
    fix,
  })];
}

/** One of the files that Claude takes settings from. */
export interface SettingsFile {
  readonly path: string;
  readonly source: "managed" | "user" | "folder";
  readonly disableAllHooks: boolean;
  readonly allowManagedHooksOnly: boolean;
  /** It is there, and can't be understood. */
  readonly garbled: boolean;
}

export function judgeHooks(files: readonly SettingsFile[]): Finding[] {
  const check = "claude-hooks";
  const why = "sessions still work, but their states and receipts rest on Claude's records alone, " +
    "and respond can only press keys";
  const findings: Finding[] = [];
  for (const { path, source, garbled } of files) {
    if (!garbled) continue;
    // Measured for the user's own with 2.1.330; the folder's counts there only.
    const finding = source === "user" ? problem : warning;
    findings.push(finding("claude-settings", `${path} is no JSON that Claude Code can use`, {
      why: "it asks about that at its start, and in a session nobody is there to answer",
      fix: `Correct ${path}`,
    }));
  }
  const off = files.find(({ disableAllHooks }) => disableAllHooks);
  const managed = files.find(({ source, allowManagedHooksOnly }) =>
    source === "managed" && allowManagedHooksOnly
  );
  if (off !== undefined) {
    findings.push(warning(check, `hooks are switched off by disableAllHooks in ${off.path}`, {
      why,
      fix: off.source === "managed"
        ? "Ask whoever manages this machine to allow them"
        : `Remove it from ${off.path}`,
    }));
  } else if (managed !== undefined) {
    findings.push(
      warning(check, `only managed hooks are allowed (allowManagedHooksOnly in ${managed.path})`, {
        why,
        fix: "Ask whoever manages this machine to allow other hooks",
      }),
    );
  } else findings.push(ok(check, "hooks are allowed"));
  return findings;
}

/** Only native sessions ask for it. */
export function judgeTrust(trusted: boolean, folder: string): Finding[] {
  if (trusted) return [];
  return [note("claude-trust", `Claude Code does not trust ${folder} yet`, {
    why: "native mode is your default, and there create fails in a folder that is not trusted",
    fix: "Start claude in it once and trust it, or use create --trust",
  })];
}
