/** A shell of a person in a real terminal: a pane of a tmux server of its own, with `dev-sessions` on its PATH. */

import { strictEqual } from "node:assert/strict";
import type { Sandbox } from "./harness.ts";

const WIDTH = 110;
const HEIGHT = 50;
export const PROMPT = "ready>";

/** How each is started: without settings of its own, but fish finds completions only where it reads settings. */
const SHELLS = {
  bash: { argv: ["bash", "--norc", "--noprofile", "-i"], prompt: `PS1='${PROMPT} '` },
  zsh: { argv: ["zsh", "-f", "-i"], prompt: `PS1='${PROMPT} '; unsetopt beep` },
  fish: {
    argv: ["fish", "-i"],
    prompt:
      `set -g fish_autosuggestion_enabled 0; function fish_prompt; printf '${PROMPT} '; end; function fish_greeting; end`,
  },
} as const;
export type ShellName = keyof typeof SHELLS;

export class ShellPane implements AsyncDisposable {
  readonly #socket: string;

  private constructor(readonly sandbox: Sandbox, shell: ShellName) {
    // A server that is just going down would take a new session for its own.
    this.#socket = `${shell}-${crypto.randomUUID().slice(0, 8)}`;
  }

  /** @param setup typed first, line by line. */
  static async open(sandbox: Sandbox, shell: ShellName, setup: readonly string[] = []): Promise<ShellPane> {
    const { argv, prompt } = SHELLS[shell];
    const pane = new ShellPane(sandbox, shell);
    const size = ["-x", String(WIDTH), "-y", String(HEIGHT)];
    // Fish makes one in /tmp where this is missing or open to others.
    const runtime = await sandbox.folder("run");
    await Deno.chmod(runtime, 0o700);
    const env = ["env", "-u", "TMUX", "-u", "TMUX_PANE", `XDG_RUNTIME_DIR=${runtime}`];
    await pane.#tmux("-f", "/dev/null", "new-session", "-d", "-s", "person", ...size, ...env, ...argv);
    await pane.command(prompt);
    for (const line of setup) await pane.command(line);
    return pane;
  }

  /** Types text as it is, or presses a key that tmux names: Enter, Tab, C-c, Down. */
  async type(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const named = /^(?:Enter|Tab|Down|Up|Escape|BSpace|C-[a-z])$/.test(key);
      await this.#tmux("send-keys", "-t", "person", ...(named ? [] : ["-l"]), "--", key);
    }
  }

  /** Runs a command to its end and clears the screen. */
  async command(line: string): Promise<void> {
    const mark = crypto.randomUUID().slice(0, 8);
    // The line as it is typed does not hold the mark in one piece.
    await this.type(`${line}; printf '%s%s\\n' ended- ${mark}`, "Enter");
    await this.shows(`ended-${mark}`);
    await this.clear();
  }

  async screen(): Promise<string> {
    return (await this.#tmux("capture-pane", "-p", "-t", "person")).trimEnd();
  }

  /** Waits for a text, or for what the function says of the whole screen; returns the screen. */
  async shows(wanted: string | RegExp | ((screen: string) => boolean)): Promise<string> {
    return await this.sandbox.eventually(async () => {
      const screen = await this.screen();
      const found = typeof wanted === "string"
        ? screen.includes(wanted)
        : wanted instanceof RegExp
        ? wanted.test(screen)
        : wanted(screen);
      if (!found) throw new Error(`the screen shows\n${screen}`);
      return screen;
    }, { what: `${wanted} on the screen of the shell` });
  }

  /** An empty line on an empty screen. */
  async clear(): Promise<void> {
    // Not Ctrl-C: the terminal would drop what is typed behind it.
    await this.type("C-u", "clear", "Enter");
    await this.shows(new RegExp(`^${PROMPT}$`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server");
  }

  async #tmux(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.sandbox.tmux("-L", this.#socket, ...args);
    strictEqual(code, 0, `tmux ${args.join(" ")}: ${stderr}`);
    return stdout;
  }
}
