/** A sandbox with Codex: the real one with a scripted model, or a stub that speaks its protocol. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { Deps } from "../../lib/deps.ts";
import { controlSocket } from "../../lib/paths.ts";
import { realDeps } from "../../lib/real_deps.ts";
import { ensureCodex } from "./agent_install.ts";
import { type CodexModel, startCodexModel } from "./codex_model.ts";
import { createSandbox, eventually, type RunningCommand, type RunSettings, type Sandbox } from "./harness.ts";
import { isRunning } from "./processes.ts";
import { writeStubCodex } from "./stub_codex_server.ts";

const HERE = import.meta.dirname ?? "";
const CONFIG = join(HERE, "..", "..", "deno.json");
/** Offers its tools by name; a newer one would run them through JavaScript. */
const MODEL = "gpt-5.5";

/** What `codex_connect.ts` prints. */
export type Connected =
  | {
    readonly origin: "configured" | "found" | "started";
    readonly version: string;
    readonly codexHome: string;
    readonly pid: number;
    readonly ms: number;
    readonly error?: never;
  }
  | { readonly error: string; readonly code: string; readonly detail: string | null };

export class CodexSandbox implements AsyncDisposable {
  constructor(readonly sandbox: Sandbox, readonly model: CodexModel | null) {}

  get codexHome(): string {
    return join(this.sandbox.home, ".codex");
  }
  /** Of dev-sessions. */
  get state(): string {
    return join(this.sandbox.home, ".dev-sessions");
  }

  /** The outside world of a command in this sandbox. */
  deps(env: Readonly<Record<string, string>> = {}): Deps {
    return { ...realDeps(), env: { ...this.sandbox.env, ...env }, cwd: () => this.sandbox.workspace };
  }

  /** For Deno: what `connect()` runs. */
  connectCommand(): string[] {
    return ["run", "-A", "--quiet", "--config", CONFIG, join(HERE, "codex_connect.ts")];
  }

  /** Connects in a process of its own, as a command does. */
  async connect(settings: RunSettings = {}): Promise<Connected> {
    const running = this.sandbox.spawn(Deno.execPath(), this.connectCommand(), settings);
    const { stdout, stderr } = await running.doneWithin(60_000, "codex_connect.ts");
    if (stdout === "") throw new Error(`codex_connect.ts failed: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** As `connect()`, but what it failed with. */
  async refusal(settings: RunSettings = {}): Promise<{ error: string; code: string; detail: string | null }> {
    const said = await this.connect(settings);
    if (said.error === undefined) throw new Error(`Connected: ${JSON.stringify(said)}`);
    return said;
  }

  /** As `connect()`, for a connection that must come about. */
  async connected(settings: RunSettings = {}): Promise<Extract<Connected, { readonly pid: number }>> {
    const said = await this.connect(settings);
    if (said.error !== undefined) throw new Error(`${said.error}\n${said.detail}`);
    return said;
  }

  /** Starts a server as a person or another program does; resolves when it listens. */
  async serve(
    args: readonly string[] = ["--listen", "unix://"],
    settings: RunSettings = {},
  ): Promise<RunningCommand> {
    const server = this.sandbox.spawn("codex", ["app-server", ...args], settings);
    const isThere = () =>
      args.includes("unix://")
        ? isTaken({ transport: "unix", path: controlSocket(this.codexHome) })
        : /ws:\/\/127\.0\.0\.1:(\d+)/.test(server.stdout + server.stderr);
    await eventually(isThere, { what: `a server that listens: ${server.stderr}` });
    return server;
  }

  /** `stub/open {gate}` or `stub/drop`, at the stub on the default socket; resolves when it is done. */
  async control(method: string, params: Readonly<Record<string, string>> = {}): Promise<void> {
    using client = Deno.createHttpClient({
      proxy: { transport: "unix", path: Deno.realPathSync(controlSocket(this.codexHome)) },
    });
    const socket = new WebSocket("ws://localhost/", { client });
    socket.onopen = () => socket.send(JSON.stringify({ id: 1, method, params }));
    socket.onmessage = () => socket.close();
    socket.onerror = (event) => event.preventDefault();
    await new Promise((resolve) => socket.onclose = resolve);
  }

  /** Pids of the app-servers that run in this sandbox. */
  async servers(): Promise<number[]> {
    const processes = await this.sandbox.processesOf();
    return processes.filter(({ command }) => / app-server --listen /.test(command)).map(({ pid }) => pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const socket = await Deno.readLink(controlSocket(this.codexHome)).catch(() => null);
    try {
      await this.sandbox.close();
    } finally {
      await this.model?.close();
      if (socket !== null) await removeLeftSocket(socket);
    }
  }
}

async function isTaken(address: Deno.UnixConnectOptions): Promise<boolean> {
  try {
    (await Deno.connect(address)).close();
    return true;
  } catch {
    return false;
  }
}

/** A server that was killed leaves its socket, and a lock beside it, in a folder that all servers of a user share. */
async function removeLeftSocket(path: string): Promise<void> {
  for (const left of [path, `${path}.lock`]) await Deno.remove(left).catch(() => {});
}

/** Of eight commands at the same time one starts the server; again where one that was killed has left its socket. */
export async function assertOneServer(codex: CodexSandbox): Promise<void> {
  for (let round = 1; round <= 3; round++) {
    const said = await Promise.all(Array.from({ length: 8 }, () => codex.connected()));
    const pid = said[0]!.pid;
    deepStrictEqual(said.map((each) => each.pid), Array.from(said, () => pid));
    deepStrictEqual(await codex.servers(), [pid]);
    strictEqual(said.filter(({ origin }) => origin === "started").length, 1);
    Deno.kill(pid, "SIGKILL");
    await eventually(async () => !await isRunning(pid), { what: "the end of the server" });
  }
}

/** The stub of `stub_codex_server.ts`, with its switches. */
export async function createStubCodexSandbox(...switches: string[]): Promise<CodexSandbox> {
  const sandbox = await createSandbox({ agent: "stub" });
  const codex = new CodexSandbox(sandbox, null);
  try {
    await writeStubCodex(join(sandbox.root, "bin"));
    await Deno.mkdir(codex.codexHome, { mode: 0o700 });
    sandbox.env["STUB_CODEX"] = switches.join(",");
    return codex;
  } catch (error) {
    await codex[Symbol.asyncDispose]();
    throw error;
  }
}

/** The real Codex, beside this Claude Code. Its folder must not be below TMPDIR, or no sandboxed command runs. */
export async function createCodexSandbox(claude: "stub" | "claude" = "stub"): Promise<CodexSandbox> {
  const sandbox = await createSandbox({ agent: claude });
  const model = await startCodexModel();
  const codex = new CodexSandbox(sandbox, model);
  try {
    await Deno.symlink(await ensureCodex(), join(sandbox.root, "bin", "codex"));
    await Deno.mkdir(codex.codexHome, { mode: 0o700 });
    sandbox.env["TMPDIR"] = await sandbox.folder("tmp");
    await Deno.writeTextFile(
      join(codex.codexHome, "config.toml"),
      `model = "${MODEL}"
model_provider = "scripted"

[model_providers.scripted]
name = "scripted"
base_url = "${model.url}"
wire_api = "responses"
requires_openai_auth = false
`,
    );
    return codex;
  } catch (error) {
    await codex[Symbol.asyncDispose]();
    throw error;
  }
}
