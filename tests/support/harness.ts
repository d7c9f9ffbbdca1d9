/** A sandbox per test: own home, tmux server and agent, the CLI as a process, and nothing left running afterwards. */

import { join } from "node:path";
import { ensureClaude } from "./agent_install.ts";
import { type FoundProcess, processesWith, signal } from "./processes.ts";
import { RunningCommand, type RunOutput } from "./running_command.ts";
import { type ScriptedModel, startScriptedModel } from "./scripted_model.ts";
import { writeStubAgentLauncher } from "./stub_agent_launcher.ts";

export { RunningCommand, type RunOutput };

export interface SandboxOptions {
  readonly agent: "stub" | "claude";
  /** Switches for `STUB_AGENT`. */
  readonly stub?: readonly string[];
  /** Content of `~/.tmux.conf`. */
  readonly tmuxConf?: string;
  /** For the real agent: a model of the test's own, which `close()` then leaves running. */
  readonly model?: ScriptedModel;
}
export interface RunSettings {
  readonly stdin?: string | Uint8Array<ArrayBuffer>;
  /** Added to the sandbox's environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}
export interface Eventually {
  readonly timeoutMs?: number;
  /** What was waited for, for the error. */
  readonly what: string;
}

const POLL_MS = 20;
const RUN_TIMEOUT_MS = 60_000;
const EVENTUALLY_TIMEOUT_MS = 15_000;
const POLITE_END_MS = 3_000;
const FORCED_END_MS = 5_000;
const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
const INHERITED = ["PATH", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR"];

/** Polls until the function returns something truthy. @throws Error that names `what` and the last error. */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  options: Eventually,
): Promise<NonNullable<T>> {
  const { timeoutMs = EVENTUALLY_TIMEOUT_MS, what } = options;
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`Not within ${timeoutMs} ms: ${what}`, last === undefined ? {} : { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * The command line that starts the CLI under test: the checkout, or what DEV_SESSIONS_TEST_EXECUTABLE (any executable)
 * or DEV_SESSIONS_TEST_BUNDLE (a `main.js`, or 1 for `dist/main.js`) names.
 */
export function cliCommand(): [program: string, ...args: string[]] {
  const executable = Deno.env.get("DEV_SESSIONS_TEST_EXECUTABLE");
  if (executable) return [Deno.realPathSync(executable)];
  const bundle = Deno.env.get("DEV_SESSIONS_TEST_BUNDLE");
  const main = !bundle
    ? join(CHECKOUT, "main.ts")
    : bundle === "1"
    ? join(CHECKOUT, "dist", "main.js")
    : Deno.realPathSync(bundle);
  return [Deno.execPath(), "run", "-A", "--quiet", main];
}

export class Sandbox implements AsyncDisposable {
  readonly #running = new Set<RunningCommand>();
  #ownModel: ScriptedModel | null = null;
  #closed: Promise<void> | null = null;

  /** Use `createSandbox()`. */
  constructor(
    readonly root: string,
    readonly env: Record<string, string>,
    readonly model: ScriptedModel | null,
    ownsModel: boolean,
  ) {
    if (ownsModel) this.#ownModel = model;
  }

  get home(): string {
    return join(this.root, "home");
  }
  /** The default workspace. */
  get workspace(): string {
    return join(this.root, "ws");
  }
  get claudeConfig(): string {
    return join(this.home, ".claude");
  }

  /** Makes another workspace folder. */
  async folder(name: string): Promise<string> {
    const path = join(this.root, name);
    await Deno.mkdir(path, { recursive: true });
    return path;
  }

  /** Starts any program in the sandbox's environment. */
  spawn(program: string, args: readonly string[], settings: RunSettings = {}): RunningCommand {
    const env: Record<string, string> = { ...this.env };
    for (const [name, value] of Object.entries(settings.env ?? {})) {
      if (value === undefined) delete env[name];
      else env[name] = value;
    }
    const child = new Deno.Command(program, {
      args: [...args],
      env,
      clearEnv: true,
      cwd: settings.cwd ?? this.workspace,
      stdin: settings.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const running = new RunningCommand(child, settings.stdin);
    this.#running.add(running);
    void child.status.then(() => this.#running.delete(running));
    return running;
  }

  /** Starts the CLI; the caller ends it or leaves that to `close()`. */
  start(args: readonly string[], settings: RunSettings = {}): RunningCommand {
    const [program, ...rest] = cliCommand();
    return this.spawn(program, [...rest, ...args], settings);
  }

  /** Runs the CLI to its end. @throws Error after `timeoutMs` (60 s). */
  async run(args: readonly string[], settings: RunSettings = {}): Promise<RunOutput> {
    const running = this.start(args, settings);
    return await running.doneWithin(settings.timeoutMs ?? RUN_TIMEOUT_MS, `dev-sessions ${args.join(" ")}`);
  }

  /** Runs tmux against the sandbox's own server. */
  async tmux(...args: string[]): Promise<RunOutput> {
    return await this.spawn("tmux", args).doneWithin(RUN_TIMEOUT_MS, `tmux ${args.join(" ")}`);
  }

  /** The text of a pane, trailing blank lines removed; with `history` also what has scrolled away. */
  async screen(target: string, history = false): Promise<string> {
    const range = history ? ["-S", "-"] : [];
    return (await this.tmux("capture-pane", "-p", ...range, "-t", target)).stdout.trimEnd();
  }

  /** How a pane kept by remain-on-exit ended: `exit 1`, `signal 9`; null while it runs. */
  async paneEnd(target: string): Promise<string | null> {
    // tmux 3.3a can miss a SIGCHLD: the pane is dead without a status until another child ends.
    await this.tmux("run-shell", "-b", "true");
    const format =
      "#{?pane_dead_status,exit #{pane_dead_status},#{?pane_dead_signal,signal #{pane_dead_signal},}}";
    const { stdout } = await this.tmux("display-message", "-p", "-t", target, `#{?pane_dead,${format},}`);
    return stdout.trim() || null;
  }

  eventually<T>(probe: () => T | Promise<T>, options: Eventually): Promise<NonNullable<T>> {
    return eventually(probe, options);
  }

  /** The running processes that belong to this sandbox, whoever started them. */
  processesOf(): Promise<FoundProcess[]> {
    return processesWith([`DEV_SESSIONS_TEST_ROOT=${this.root}`, `HOME=${this.home}`]);
  }

  /** Ends and removes everything of the sandbox. @throws Error when something could not be ended. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    try {
      await Promise.all([...this.#running].map((running) => running.end()));
      const { TMUX_TMPDIR = "" } = this.env;
      if (TMUX_TMPDIR.startsWith(this.root)) await this.#endTmux();
      const politely = await this.#allGone("SIGTERM", POLITE_END_MS);
      if (!politely && !await this.#allGone("SIGKILL", FORCED_END_MS)) {
        const left = (await this.processesOf()).map(({ pid, command }) => `${pid} ${command}`).join("\n");
        throw new Error(`Processes of the sandbox ${this.root} are left:\n${left}`);
      }
    } finally {
      await this.#ownModel?.close();
      await Deno.remove(this.root, { recursive: true });
    }
  }

  /** Never the server of anyone else: a missing TMUX_TMPDIR would make tmux use the user's own. */
  async #endTmux(): Promise<void> {
    const socket = join(this.root, "t", `tmux-${Deno.uid()}`, "default");
    try {
      await Deno.lstat(socket);
    } catch {
      return;
    }
    const killer = this.spawn("tmux", ["-S", socket, "kill-server"], { cwd: "/" });
    await killer.doneWithin(POLITE_END_MS, "tmux kill-server").catch(() => {});
  }

  async #allGone(name: Deno.Signal, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    const signalled = new Set<number>();
    for (;;) {
      const left = await this.processesOf();
      if (left.length === 0) return true;
      if (performance.now() >= deadline) return false;
      for (const { pid } of left) {
        if (!signalled.has(pid)) signal(pid, name);
        signalled.add(pid);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** Makes a sandbox; end it with `await using` or `close()`. */
export async function createSandbox(options: SandboxOptions): Promise<Sandbox> {
  // Short, because a unix socket's path may have 107 bytes only.
  const root = await Deno.realPath(await Deno.makeTempDir({ dir: "/tmp", prefix: "ds" }));
  try {
    return await furnish(root, options);
  } catch (error) {
    await Deno.remove(root, { recursive: true });
    throw error;
  }
}

async function furnish(root: string, options: SandboxOptions): Promise<Sandbox> {
  for (const name of ["home", "ws", "t", "bin"]) await Deno.mkdir(join(root, name), { mode: 0o700 });
  const outer = Deno.env.toObject();
  const env: Record<string, string> = {};
  for (const name of INHERITED) if (outer[name] !== undefined) env[name] = outer[name];
  const cache = outer["XDG_CACHE_HOME"] || join(outer["HOME"] ?? "/", ".cache");
  Object.assign(env, {
    HOME: join(root, "home"),
    PATH: `${join(root, "bin")}:${outer["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"}`,
    TMUX_TMPDIR: join(root, "t"),
    TERM: "xterm-256color",
    LANG: "C.UTF-8",
    NO_COLOR: "1",
    DENO_DIR: outer["DENO_DIR"] || join(cache, "deno"),
    DENO_NO_UPDATE_CHECK: "1",
    DEV_SESSIONS_TEST_ROOT: root,
  });
  if (options.tmuxConf !== undefined) {
    await Deno.writeTextFile(join(root, "home", ".tmux.conf"), options.tmuxConf);
  }

  if (options.agent === "stub") {
    await writeStubAgentLauncher(join(root, "bin"));
    if (options.stub !== undefined && options.stub.length > 0) env["STUB_AGENT"] = options.stub.join(",");
    return new Sandbox(root, env, null, false);
  }

  await Deno.symlink(await ensureClaude(), join(root, "bin", "claude"));
  await Deno.writeTextFile(
    join(root, "home", ".claude.json"),
    JSON.stringify({ hasCompletedOnboarding: true, hasSeenAutoDefaultNudge: true }),
  );
  const model = options.model ?? await startScriptedModel();
  Object.assign(env, {
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_AUTH_TOKEN: "scripted",
    DISABLE_AUTOUPDATER: "1",
    DISABLE_TELEMETRY: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    // Else it leaves folders and sockets in the machine's own.
    CLAUDE_CODE_TMPDIR: join(root, "tmp"),
  });
  await Deno.mkdir(join(root, "tmp"), { mode: 0o700 });
  return new Sandbox(root, env, model, options.model === undefined);
}
