/** When a starting Claude counts as ready, and which screens end the wait for it. */

import { strictEqual } from "node:assert/strict";
import { judgeReadiness, type StartEvidence } from "../../../backends/claude/readiness.ts";
import { readInputBox } from "../../../backends/claude/screen.ts";
import { plain, screen, type ScreenName } from "../../support/screens.ts";

const NOTHING: StartEvidence = {
  process: "alive",
  end: null,
  hookAgeMs: null,
  registry: null,
  registryIdleMs: 0,
  screen: "",
  screenQuietMs: 0,
  box: "unrecognised",
};

/** The screen as `create` sees it, standing still for so long. */
function shows(name: ScreenName, screenQuietMs: number): Partial<StartEvidence> {
  return { screen: plain(name), screenQuietMs, box: readInputBox(screen(name)).kind };
}

const IDLE = { status: "idle", waitingFor: null } as const;
const BUSY = { status: "busy", waitingFor: null } as const;

Deno.test("judgeReadiness() wants hook and registry, or one of them for a while", () => {
  const table: [holds: string, given: Partial<StartEvidence>, verdict: string][] = [
    ["nothing yet", {}, "not_yet"],
    ["nothing after a long time and an empty screen", { screenQuietMs: 60_000 }, "not_yet"],
    ["both", { hookAgeMs: 0, registry: IDLE }, "ready proven"],
    ["the hook, just now", { hookAgeMs: 10 }, "not_yet"],
    ["the hook alone for a while: an older Claude", { hookAgeMs: 1_500 }, "ready proven"],
    ["the hook and a busy registry", { hookAgeMs: 5_000, registry: BUSY }, "not_yet"],
    ["the registry, just now", { registry: IDLE, registryIdleMs: 10 }, "not_yet"],
    ["the registry alone for a while: hooks off", { registry: IDLE, registryIdleMs: 1_500 }, "ready proven"],
    ["a busy registry", { registry: BUSY }, "not_yet"],
    ["the process out of sight", { process: "unknown", hookAgeMs: 0, registry: IDLE }, "ready proven"],
    ["neither, a box that stands for a moment", shows("idle_fresh", 4_999), "not_yet"],
    ["neither, a box that stands for long", shows("idle_fresh", 5_000), "ready unproven"],
    ["neither, an unknown screen for a moment", { screen: "?", screenQuietMs: 7_999 }, "not_yet"],
    [
      "neither, an unknown screen for long",
      { screen: "?", screenQuietMs: 8_000 },
      "failed Claude shows a screen that accepts no message",
    ],
    [
      "a draft in the box for long",
      { ...shows("draft_one_line", 8_000) },
      "failed Claude shows a screen that accepts no message",
    ],
  ];
  for (const [holds, given, verdict] of table) strictEqual(judge(given), verdict, holds);
});

Deno.test("judgeReadiness() knows the dialogs that stop a start", () => {
  const table: [name: ScreenName, reason: string][] = [
    ["trust_dialog", "Claude asks whether to trust this folder"],
    ["bypass_dialog", "Claude asks to accept its bypass permissions mode"],
    ["onboarding", "Claude has not been set up for this user"],
  ];
  for (const [name, reason] of table) {
    strictEqual(judge(shows(name, 699)), "not_yet", name);
    strictEqual(judge(shows(name, 700)), `failed ${reason}`, name);
    const waiting = {
      ...shows(name, 0),
      registry: { status: "waiting", waitingFor: "dialog open" } as const,
    };
    strictEqual(judge(waiting), `failed ${reason}`, name);
    strictEqual(
      judge({ ...shows(name, 0), process: "dead", end: "exit 1" }),
      `failed its agent ended at once (exit 1): ${reason}`,
      name,
    );
  }
});

Deno.test("judgeReadiness() reads other reasons off the screen", () => {
  const quiet = { screenQuietMs: 700 };
  const table: [given: Partial<StartEvidence>, verdict: string][] = [
    [{ ...shows("no_login", 0), hookAgeMs: 0, registry: IDLE }, "failed Claude is not signed in"],
    [{ ...shows("no_login", 0), registry: IDLE }, "failed Claude is not signed in"],
    [
      { ...quiet, screen: "Do you want to use this API key?" },
      "failed Claude asks whether to use the API key in ANTHROPIC_API_KEY",
    ],
    [
      { ...quiet, screen: "settings issue\n❯ 1. Continue" },
      "failed Claude reports an issue with its settings",
    ],
    [{ process: "dead", end: null }, "failed its agent ended at once"],
    [{ process: "dead", end: "signal 9" }, "failed its agent ended at once (signal 9)"],
    [
      { process: "dead", end: "exit 1", screen: "Error: Session ID 00000000 is already in use." },
      "failed its agent ended at once (exit 1): Claude says that the session id is in use",
    ],
    [
      {
        process: "dead",
        end: "exit 1",
        screen: "--dangerously-skip-permissions cannot be used with root/sudo privileges",
      },
      "failed its agent ended at once (exit 1): Claude refuses to skip permissions as root",
    ],
    [
      { process: "dead", end: "exit 1", screen: "Unable to connect to Anthropic services" },
      "failed its agent ended at once (exit 1): Claude has not been set up for this user",
    ],
    [
      { registry: { status: "waiting", waitingFor: "dialog open" }, screen: "?" },
      "failed Claude shows a dialog",
    ],
    [{ process: "dead", hookAgeMs: 0, registry: IDLE }, "failed its agent ended at once"],
  ];
  for (const [given, verdict] of table) strictEqual(judge(given), verdict, JSON.stringify(given));
});

Deno.test("judgeReadiness() takes a ready Claude for ready whatever its screen talks about", () => {
  const given = {
    hookAgeMs: 0,
    registry: IDLE,
    screen: `${plain("idle_fresh")}\n  ⏵⏵ Bypass Permissions mode · settings issue`,
    box: "empty",
  } as const;
  strictEqual(judge(given), "ready proven");
});

function judge(given: Partial<StartEvidence>): string {
  const verdict = judgeReadiness({ ...NOTHING, ...given });
  switch (verdict.kind) {
    case "ready":
      return `ready ${verdict.proven ? "proven" : "unproven"}`;
    case "not_yet":
      return "not_yet";
    case "failed":
      return `failed ${verdict.reason}`;
  }
}
