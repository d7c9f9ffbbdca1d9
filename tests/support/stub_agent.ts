/**
 * A program that stands in for Claude Code's terminal interface: same screen, keys, hooks, registry and transcript.
 *
 * Long, because it is one program with one state: keys, hooks and records all act on it.
 */

import {
  BYPASS_MENU,
  LOGIN_MENU,
  MODEL_MENU,
  REWIND_MENU,
  trustMenu,
  UNKNOWN_MENU,
} from "./stub_agent_dialog.ts";
import { type Choice, Menu, type MenuSpec } from "./stub_agent_dialog.ts";
import { parseArguments, switches } from "./stub_agent_arguments.ts";
import { InputDecoder, type InputEvent, type Key } from "./stub_agent_input.ts";
import { recordKeys } from "./stub_agent_keys.ts";
import {
  Hooks,
  type Identity,
  readable,
  Registry,
  type Settings,
  STUB_MODEL,
  STUB_VERSION,
  Transcript,
  transcriptPath,
} from "./stub_agent_records.ts";
import { Screen } from "./stub_agent_screen.ts";
import { TurnEngine } from "./stub_agent_turn.ts";

const ESCAPE_TIMEOUT_MS = 25;
const DOUBLE_ESCAPE_MS = 800;
const PASTE_FOLD_CHARS = 800;
const PASTE_FOLD_NEWLINES = 3;
const SIGNAL_EXIT_CODES = { SIGTERM: 143, SIGHUP: 129 } as const;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function fail(text: string, code = 1): never {
  new Screen().write(text + "\r\n");
  Deno.exit(code);
}

function readJson(path: string): Record<string, unknown> {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch {
    return {};
  }
}

class StubAgent {
  readonly #screen = new Screen();
  readonly #decoder = new InputDecoder();
  readonly #pastes = new Map<string, string>();
  readonly #settings: Settings[];
  readonly #identity: Identity;
  readonly #registry: Registry;
  readonly #transcript: Transcript;
  readonly #hooks: Hooks;
  readonly #turns: TurnEngine;
  readonly #source: string;
  #menu: Menu | null = null;
  #draft = "";
  #ready = false;
  #vim: "NORMAL" | "INSERT" | null = switches.has("vim") ? "INSERT" : null;
  #swallow = Number(switches.get("swallow-enter") ?? 0);
  #swallowEscape = Number(switches.get("swallow-escape") ?? 0);
  #escapeTimer: ReturnType<typeof setTimeout> | null = null;
  #lastEscape = 0;
  #exitArmed = false;
  #exiting = false;

  constructor(readonly options: ReadonlyMap<string, string>) {
    const home = Deno.env.get("HOME") ?? "/";
    const config = Deno.env.get("CLAUDE_CONFIG_DIR") || `${home}/.claude`;
    const resumed = options.get("--resume");
    const sessionId = resumed ?? options.get("--session-id") ?? crypto.randomUUID();
    if (!UUID.test(sessionId)) fail("Error: Invalid session ID. Must be a valid UUID.");
    const bypass = options.has("--dangerously-skip-permissions");
    const permissionMode = bypass ? "bypassPermissions" : options.get("--permission-mode") ?? "default";
    this.#identity = { sessionId, cwd: Deno.realPathSync(Deno.cwd()), config, permissionMode };
    this.#source = resumed === undefined ? "startup" : "resume";
    const given = options.get("--settings");
    this.#settings = [readJson(`${config}/settings.json`)];
    if (given !== undefined) this.#settings.push(given.startsWith("{") ? JSON.parse(given) : readJson(given));

    const inherited = Deno.env.has("CLAUDE_CODE_CHILD_SESSION") &&
      Deno.env.get("CLAUDE_CODE_FORCE_SESSION_PERSISTENCE") !== "1";
    const hooksOn = !switches.has("no-hooks") && !this.#settings.some((settings) => settings.disableAllHooks);
    this.#registry = new Registry(this.#identity, !switches.has("no-registry") && !inherited);
    this.#transcript = new Transcript(this.#identity, !switches.has("no-transcript") && !inherited);
    this.#hooks = new Hooks(this.#identity, this.#settings, hooksOn);
    this.#turns = new TurnEngine({
      registry: this.#registry,
      transcript: this.#transcript,
      hooks: this.#hooks,
      refusesPrompts: switches.has("block-prompt"),
      permissionMode: () => this.#identity.permissionMode,
      say: (text) => this.#screen.say(text),
      redraw: () => this.#draw(),
      choose: (spec, signal) => this.#choose(spec, signal),
      crash: (code) => Deno.exit(code),
      giveBack: (text) => {
        if (!switches.has("rewind") || this.#draft !== "") return false;
        this.#draft = text;
        return true;
      },
    });
  }

  async run(prompt: string | null): Promise<void> {
    this.#checkStart();
    Deno.stdin.setRaw(true);
    this.#screen.write("\x1b[?2004h");
    for (const signal of ["SIGTERM", "SIGHUP"] as const) {
      Deno.addSignalListener(signal, () => {
        if (signal === "SIGHUP" && switches.has("ignore-sighup")) return;
        void this.#exit("other", SIGNAL_EXIT_CODES[signal]);
      });
    }
    Deno.addSignalListener("SIGWINCH", () => this.#draw());
    void this.#start(prompt);
    await this.#read();
    if (!switches.has("ignore-sighup")) return await this.#exit("other", SIGNAL_EXIT_CODES.SIGHUP);
    await new Promise(() => setInterval(() => {}, 1_000_000));
  }

  async #read(): Promise<void> {
    try {
      for await (const bytes of Deno.stdin.readable) {
        for (const event of this.#decoder.feed(bytes)) this.#take(event);
        this.#armEscape();
        this.#draw();
      }
    } catch {
      // A terminal that was hung up reads as an error.
    }
  }

  /** What makes the real agent end before it draws anything. */
  #checkStart(): void {
    const dieAtOnce = switches.get("die-at-once");
    if (dieAtOnce !== undefined) Deno.exit(Number(dieAtOnce) || 0);
    if (switches.has("onboarding-exit")) fail("Unable to connect to Anthropic services");
    const { sessionId, permissionMode } = this.#identity;
    if (permissionMode === "bypassPermissions" && Deno.uid() === 0 && Deno.env.get("IS_SANDBOX") !== "1") {
      fail("--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons");
    }
    const known = readable(transcriptPath(this.#identity));
    if (this.#source === "resume" && !known) fail(`No conversation found with session ID: ${sessionId}`);
    if (this.#source === "startup" && known) fail(`Error: Session ID ${sessionId} is already in use.`);
    if (!Deno.stdin.isTerminal()) fail("Error: stdin is not a terminal");
  }

  async #start(prompt: string | null): Promise<void> {
    await this.#startDialogs();
    const { cwd } = this.#identity;
    this.#screen.say(
      ` ▐▛███▛█   Claude Code v${STUB_VERSION}\n▝▜██████▀  Opus 5.5 · Stub\n ▝▝   ▝▝   ${cwd}\n`,
    );
    this.#draw();
    const slow = Number(switches.get("slow-start") ?? 0);
    if (slow > 0) await new Promise((resolve) => setTimeout(resolve, slow));
    this.#ready = true;
    const hooks = this.#hooks.run("SessionStart", { source: this.#source, model: STUB_MODEL });
    this.#registry.set("idle");
    await hooks;
    if (prompt !== null) this.#submit(prompt);
  }

  async #startDialogs(): Promise<void> {
    const forever = new AbortController().signal;
    const accept = async (spec: MenuSpec) => {
      const choice = await this.#choose(spec, forever);
      if (choice === "aborted" || choice === null || choice.index === 0) Deno.exit(1);
    };
    if (switches.has("trust-dialog") && !this.#isTrusted()) await accept(trustMenu(this.#identity.cwd));
    while (switches.has("login-dialog")) await this.#choose(LOGIN_MENU, forever);
    if (switches.has("unknown-dialog")) await this.#choose(UNKNOWN_MENU, forever);
    const bypass = this.#identity.permissionMode === "bypassPermissions";
    if (bypass && !this.#settings.some((settings) => settings.skipDangerousModePermissionPrompt)) {
      await accept(BYPASS_MENU);
    }
  }

  #isTrusted(): boolean {
    if (Deno.env.get("CLAUDE_CODE_SANDBOXED") === "1") return true;
    const file = Deno.env.get("CLAUDE_CONFIG_DIR")
      ? `${this.#identity.config}/.claude.json`
      : `${Deno.env.get("HOME")}/.claude.json`;
    const projects = (readJson(file)["projects"] ?? {}) as Record<
      string,
      { hasTrustDialogAccepted?: boolean }
    >;
    let folder = this.#identity.cwd;
    for (;;) {
      if (projects[folder || "/"]?.hasTrustDialogAccepted) return true;
      if (folder === "") return false;
      folder = folder.slice(0, folder.lastIndexOf("/"));
    }
  }

  #choose(spec: MenuSpec, signal: AbortSignal): Promise<Choice | "aborted"> {
    if (signal.aborted) return Promise.resolve("aborted");
    const chosen = Promise.withResolvers<Choice | "aborted">();
    const close = (choice: Choice | "aborted") => {
      signal.removeEventListener("abort", abort);
      if (this.#menu === menu) this.#menu = null;
      chosen.resolve(choice);
      this.#draw();
    };
    const abort = () => close("aborted");
    const menu = new Menu(spec, close);
    signal.addEventListener("abort", abort);
    this.#menu = menu;
    this.#draw();
    return chosen.promise;
  }

  #draw(): void {
    if (this.#exiting) return;
    if (this.#menu !== null) {
      const below = this.#menu.lines();
      return this.#screen.draw({ draft: null, placeholder: null, busy: this.#turns.busy, above: [], below });
    }
    const { busy, queued } = this.#turns;
    const hint = busy ? "esc to interrupt" : "? for shortcuts";
    const bypass = this.#identity.permissionMode === "bypassPermissions";
    const footer = this.#exitArmed
      ? "  Press Ctrl-C again to exit"
      : this.#vim === "INSERT"
      ? "  -- INSERT --"
      : bypass
      ? `  ⏵⏵ bypass permissions on (shift+tab to cycle) · ${hint}`
      : `  ⏸ manual mode on · ${hint}`;
    const queuedHint = queued > 0 ? "Press up to edit queued messages" : null;
    this.#screen.draw({
      draft: this.#draft,
      placeholder: switches.has("placeholder") ? 'Try "how does main.ts work?"' : queuedHint,
      busy,
      above: busy ? ["", "✽ Working… (1s · ↓ 9 tokens)", ""] : [""],
      below: [footer],
    });
  }

  #armEscape(): void {
    if (this.#escapeTimer !== null) clearTimeout(this.#escapeTimer);
    this.#escapeTimer = null;
    if (!this.#decoder.pendingEscape) return;
    this.#escapeTimer = setTimeout(() => {
      for (const event of this.#decoder.flush()) this.#take(event);
      this.#draw();
    }, ESCAPE_TIMEOUT_MS);
  }

  #take(event: InputEvent): void {
    recordKeys(event);
    if (this.#menu !== null) return this.#menu.take(event);
    if (event.kind === "key") return this.#key(event.key);
    this.#exitArmed = false;
    if (event.kind === "paste") return this.#paste(event.text, event.removedInvisible);
    if (this.#vim === "NORMAL") {
      if (/^[iaIA]/.test(event.text)) {
        this.#vim = "INSERT";
        this.#draft += event.text.slice(1);
      }
      return;
    }
    this.#draft += event.text;
  }

  #paste(text: string, removedInvisible: boolean): void {
    if (switches.has("lost-paste")) return;
    if (removedInvisible) this.#swallow++;
    const newlines = text.split("\n").length - 1;
    if (text.length <= PASTE_FOLD_CHARS && newlines < PASTE_FOLD_NEWLINES) {
      this.#draft += text;
      return;
    }
    const label = `[Pasted text #${this.#pastes.size + 1} +${newlines} lines]`;
    this.#pastes.set(label, text);
    this.#draft += label;
  }

  #key(key: Key): void {
    const armed = this.#exitArmed;
    this.#exitArmed = false;
    if (key === "enter") this.#enter();
    else if (key === "newline") this.#draft += "\n";
    else if (key === "backspace") this.#draft = [...this.#draft].slice(0, -1).join("");
    else if (key === "ctrl-u") this.#clearLine();
    else if (key === "escape") this.#escape();
    else if (key === "ctrl-c") {
      if (this.#draft !== "") this.#draft = "";
      else if (this.#turns.busy) this.#turns.interrupt();
      else if (armed) void this.#exit("prompt_input_exit", 0);
      else this.#exitArmed = true;
    }
  }

  /** An empty line is joined with the one above. */
  #clearLine(): void {
    const start = this.#draft.lastIndexOf("\n") + 1;
    this.#draft = this.#draft.slice(0, start === this.#draft.length ? Math.max(0, start - 1) : start);
  }

  #escape(): void {
    if (this.#swallowEscape > 0) {
      this.#swallowEscape--;
      return;
    }
    if (this.#vim === "INSERT") {
      this.#vim = "NORMAL";
      return;
    }
    if (this.#turns.busy) return this.#turns.interrupt();
    const twice = Date.now() - this.#lastEscape < DOUBLE_ESCAPE_MS;
    this.#lastEscape = twice ? 0 : Date.now();
    if (!twice) return;
    if (this.#draft !== "") this.#draft = "";
    else void this.#idleDialog(REWIND_MENU);
  }

  async #idleDialog(spec: MenuSpec): Promise<void> {
    this.#registry.set("waiting", "dialog open");
    await this.#choose(spec, new AbortController().signal);
    this.#registry.set("idle");
  }

  #enter(): void {
    if (this.#draft.trim() === "" || !this.#ready || switches.has("lose-enter")) return;
    if (this.#swallow > 0) {
      this.#swallow--;
      return;
    }
    if (this.#draft.endsWith("\\")) {
      this.#draft = this.#draft.slice(0, -1) + "\n";
      return;
    }
    const text = this.#draft.trimEnd();
    this.#draft = "";
    let expanded = text;
    for (const [label, paste] of this.#pastes) {
      const id = crypto.randomUUID().slice(0, 4);
      const tag = `pasted_content id="${id}"`;
      expanded = expanded.replace(label, () => `\n\n<${tag}>\n${paste}\n</${tag}>\n`);
    }
    this.#pastes.clear();
    this.#submit(expanded);
  }

  #submit(text: string): void {
    recordKeys({ kind: "prompt", text });
    if (text.startsWith("!")) return this.#localLine("bash-input", text.slice(1));
    const command = /^(\s*)\/([\w:-]+)(?=\s|$)/.exec(text);
    if (command === null) return void this.#turns.submit(text);
    switch (command[2]) {
      case "exit":
        return void this.#exit("prompt_input_exit", 0);
      case "clear":
        return void this.#clear();
      case "model":
        return void this.#idleDialog(MODEL_MENU);
      default:
        if (command[1] !== "") return void this.#turns.submit(text);
        this.#screen.say(`❯ ${text}\n  ⎿  Unknown command: /${command[2]}`);
        this.#transcript.add({
          type: "system",
          subtype: "informational",
          content: `Unknown command: /${command[2]}`,
          isMeta: false,
          level: "warning",
        });
    }
  }

  /** Bash mode: recorded as the real agent does, but nothing is run. */
  #localLine(tag: string, text: string): void {
    this.#screen.say(`! ${text}`);
    const content = `<${tag}>${text}</${tag}>`;
    this.#transcript.add({ type: "user", message: { role: "user", content } });
  }

  async #clear(): Promise<void> {
    await this.#hooks.run("SessionEnd", { reason: "clear" });
    this.#transcript.restart();
    this.#identity.sessionId = crypto.randomUUID();
    this.#registry.set("idle");
    await this.#hooks.run("SessionStart", { source: "clear" });
  }

  async #exit(reason: string, code: number): Promise<void> {
    if (this.#exiting) return;
    this.#exiting = true;
    this.#turns.stop();
    this.#hooks.stopAll();
    this.#transcript.flush();
    this.#registry.remove();
    if (this.#ready) await this.#hooks.run("SessionEnd", { reason });
    this.#screen.write("\x1b[?2004l\x1b[?25h\r\n");
    Deno.exit(code);
  }
}

if (import.meta.main) {
  if (Deno.args.includes("--version")) {
    new Screen().write(`${STUB_VERSION} (Claude Code)\n`);
    Deno.exit(0);
  }
  const { options, prompt } = parseArguments(Deno.args);
  await new StubAgent(options).run(prompt);
}
