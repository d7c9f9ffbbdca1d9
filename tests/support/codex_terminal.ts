/** Codex's own terminal program on a person's screen. */

import { eventually, type Sandbox } from "./harness.ts";

/** Of a screen that has just changed: a key that comes too early is ignored. */
const KEY_PAUSE_MS = 300;
const LIMIT_MS = 30_000;

/** Declines the newer model that Codex offers a person at the start; resolves when the conversation shows `text`. */
export async function passModelOffer(sandbox: Sandbox, tmuxSession: string, text: string): Promise<void> {
  await eventually(async () => {
    const screen = await sandbox.screen(tmuxSession);
    if (!screen.includes("Use existing model")) return screen.includes(text);
    const key = screen.includes("› 1. Try new model") ? "Down" : "Enter";
    await sandbox.tmux("send-keys", "-t", tmuxSession, key);
    await new Promise((resolve) => setTimeout(resolve, KEY_PAUSE_MS));
    return false;
  }, { what: `"${text}" on a person's screen`, timeoutMs: LIMIT_MS });
}
