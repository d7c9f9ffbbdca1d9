/** Decides whether a starting Claude accepts input, or why it never will. Pure. */

import type { Liveness } from "../../lib/session.ts";
import type { RegistryEntry } from "./live_registry.ts";
import type { InputBox } from "./screen.ts";

export interface StartEvidence {
  readonly process: Liveness;
  /** `exit 1`, when tmux has seen the end. */
  readonly end: string | null;
  /** Milliseconds since the SessionStart hook ran; null: it did not. */
  readonly hookAgeMs: number | null;
  readonly registry: Pick<RegistryEntry, "status" | "waitingFor"> | null;
  /** Milliseconds since the live registry first said idle. */
  readonly registryIdleMs: number;
  readonly screen: string;
  /** Since the screen last changed, milliseconds. */
  readonly screenQuietMs: number;
  readonly box: InputBox["kind"];
}

export type Readiness =
  | { readonly kind: "ready"; readonly proven: boolean }
  | { readonly kind: "not_yet" }
  | { readonly kind: "failed"; readonly reason: string; readonly help: string };

/** One of hook and registry is enough, after a while in which the other could have come. */
const GRACE_MS = 1_500;
/** A dialog that we know is believed once the screen has stood still for so long. */
const DIALOG_QUIET_MS = 700;
/** Neither hook nor registry: only a screen that has long stood still says anything. */
const UNKNOWN_QUIET_MS = 8_000;
const UNPROVEN_QUIET_MS = 5_000;

const DIALOGS: readonly { readonly pattern: RegExp; readonly reason: string; readonly help: string }[] = [
  {
    pattern: /trust this folder|Accessing workspace|Do you trust the files/,
    reason: "Claude asks whether to trust this folder",
    help: "Trust it with --trust, or use --mode yolo",
  },
  {
    pattern: /Do you want to use this API key/,
    reason: "Claude asks whether to use the API key in ANTHROPIC_API_KEY",
    help: "Run claude once by hand and answer, or unset ANTHROPIC_API_KEY",
  },
  {
    pattern: /Bypass Permissions mode/,
    reason: "Claude asks to accept its bypass permissions mode",
    help: "Run claude --dangerously-skip-permissions once by hand and accept, or use --mode native",
  },
  {
    pattern:
      /Choose the text style|Let's get started|Select login method|Unable to connect to Anthropic services/,
    reason: "Claude has not been set up for this user",
    help: "Run claude once by hand, finish its setup and sign in",
  },
  {
    pattern: /Not logged in|Please run \/login|Login method|Paste code here/,
    reason: "Claude is not signed in",
    help: "Run claude by hand and sign in with /login",
  },
  {
    pattern: /settings (issue|error)|invalid settings/i,
    reason: "Claude reports an issue with its settings",
    help:
      "Run claude by hand and follow what it says; an older Claude may not know our hooks: update it with claude update",
  },
  {
    pattern: /Session ID .* is already in use/,
    reason: "Claude says that the session id is in use",
    help: "Try again",
  },
  {
    pattern: /No conversation found with session ID/,
    reason: "Claude does not find its conversation",
    help: "Start another with: dev-sessions create",
  },
  {
    pattern: /Resume from summary|Resuming the full session/,
    reason: "Claude asks whether to resume from a summary",
    help: "Run claude by hand, resume this conversation with /resume, and choose not to be asked again",
  },
  {
    pattern: /cannot be used with root\/sudo/,
    reason: "Claude refuses to skip permissions as root",
    help: "Use --mode native, or run as another user",
  },
];

export function judgeReadiness(start: StartEvidence): Readiness {
  const known = DIALOGS.find((dialog) => dialog.pattern.test(start.screen));
  if (start.process === "dead") {
    const end = start.end === null ? "" : ` (${start.end})`;
    return known === undefined
      ? failed(`its agent ended at once${end}`, "Run claude by hand in that folder to see why")
      : failed(`its agent ended at once${end}: ${known.reason}`, known.help);
  }
  if (start.registry?.status === "waiting") {
    return known === undefined
      ? failed("Claude shows a dialog", "Run claude by hand in that folder and answer it")
      : failed(known.reason, known.help);
  }
  const hook = start.hookAgeMs !== null;
  const idle = start.registry?.status === "idle";
  if (hook || idle) {
    if (/Not logged in/.test(start.screen)) return failed("Claude is not signed in", DIALOGS[4]!.help);
    if (hook && idle) return { kind: "ready", proven: true };
    if (hook && start.registry === null && start.hookAgeMs >= GRACE_MS) {
      return { kind: "ready", proven: true };
    }
    if (!hook && start.registryIdleMs >= GRACE_MS) return { kind: "ready", proven: true };
    return { kind: "not_yet" };
  }
  if (start.screen.trim() === "") return { kind: "not_yet" };
  if (known !== undefined && start.box !== "empty" && start.screenQuietMs >= DIALOG_QUIET_MS) {
    return failed(known.reason, known.help);
  }
  if (start.box === "empty" && start.screenQuietMs >= UNPROVEN_QUIET_MS) {
    return { kind: "ready", proven: false };
  }
  if (start.box !== "empty" && start.screenQuietMs >= UNKNOWN_QUIET_MS) {
    return failed(
      "Claude shows a screen that accepts no message",
      "Run claude by hand in that folder and answer it",
    );
  }
  return { kind: "not_yet" };
}

function failed(reason: string, help: string): Readiness {
  return { kind: "failed", reason, help };
}
