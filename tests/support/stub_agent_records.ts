/** What the stub agent leaves outside of its screen, in Claude Code's shapes: live registry, transcript, hooks. */

export const STUB_VERSION = "2.1.330";
export const STUB_MODEL = "claude-opus-5-5";

/** The real agent's last lines reach the file only after the Stop hook has begun. */
const WRITE_LAG_MS = 30;
const DEFAULT_HOOK_TIMEOUT_S = 600;

export type RegistryStatus = "idle" | "busy" | "waiting" | "shell";
export type Line = Record<string, unknown> & { readonly type: string };

export interface Identity {
  sessionId: string;
  readonly cwd: string;
  readonly config: string;
  permissionMode: string;
}

function projectFolder(config: string, path: string): string {
  const safe = path.replace(/[^a-zA-Z0-9]/g, "-");
  if (safe.length <= 200) return `${config}/projects/${safe}`;
  let hash = 0;
  for (let i = 0; i < path.length; i++) hash = (hash << 5) - hash + path.charCodeAt(i) | 0;
  return `${config}/projects/${safe.slice(0, 200)}-${Math.abs(hash).toString(36)}`;
}

export function transcriptPath(identity: Identity): string {
  return `${projectFolder(identity.config, identity.cwd)}/${identity.sessionId}.jsonl`;
}

export function readable(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Field 22 of `/proc/self/stat`, or the time of the start where there is no `/proc`. */
function procStart(): string {
  try {
    const stat = Deno.readTextFileSync("/proc/self/stat");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0";
  } catch {
    return String(Date.now());
  }
}

export class Registry {
  readonly #path: string;
  readonly #started = Date.now();
  readonly #procStart = procStart();
  #present = false;

  constructor(readonly identity: Identity, readonly enabled: boolean) {
    this.#path = `${identity.config}/sessions/${Deno.pid}.json`;
  }

  set(status: RegistryStatus, waitingFor?: string): void {
    if (!this.enabled) return;
    const now = Date.now();
    if (!this.#present) Deno.mkdirSync(`${this.identity.config}/sessions`, { recursive: true });
    this.#present = true;
    Deno.writeTextFileSync(
      this.#path,
      JSON.stringify({
        pid: Deno.pid,
        sessionId: this.identity.sessionId,
        cwd: this.identity.cwd,
        startedAt: this.#started,
        procStart: this.#procStart,
        version: STUB_VERSION,
        kind: "interactive",
        entrypoint: "cli",
        name: `stub-${Deno.pid}`,
        nameSource: "derived",
        status,
        ...(waitingFor === undefined ? {} : { waitingFor }),
        updatedAt: now,
        statusUpdatedAt: now,
      }),
    );
  }

  remove(): void {
    if (!this.#present) return;
    this.#present = false;
    try {
      Deno.removeSync(this.#path);
    } catch {
      // Someone else removed it.
    }
  }
}

export class Transcript {
  #lines: string[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #parent: string | null = null;
  #created = false;

  constructor(readonly identity: Identity, readonly enabled: boolean) {}

  /** For `/clear`: the next line begins another file. */
  restart(): void {
    this.flush();
    this.#parent = null;
    this.#created = false;
  }

  /** A line of the conversation; returns its uuid. */
  add(line: Line): string {
    const uuid = crypto.randomUUID();
    const { sessionId, cwd } = this.identity;
    const common = { userType: "external", entrypoint: "cli", cwd, sessionId, version: STUB_VERSION };
    const timestamp = new Date().toISOString();
    this.note({
      parentUuid: this.#parent,
      isSidechain: false,
      ...line,
      uuid,
      timestamp,
      ...common,
      gitBranch: "HEAD",
    });
    this.#parent = uuid;
    return uuid;
  }

  /** A bookkeeping line, written as it is. */
  note(line: Line): void {
    this.#lines.push(JSON.stringify(line));
    this.#timer ??= setTimeout(() => this.flush(), WRITE_LAG_MS);
  }

  markers(): void {
    const { sessionId, permissionMode } = this.identity;
    this.note({ type: "mode", mode: "normal", sessionId });
    this.note({ type: "permission-mode", permissionMode, sessionId });
  }

  lastPrompt(prompt: string): void {
    const sessionId = this.identity.sessionId;
    this.note({ type: "last-prompt", lastPrompt: prompt, leafUuid: this.#parent, sessionId });
    this.markers();
  }

  queue(operation: string, rest: Record<string, unknown> = {}): void {
    const timestamp = new Date().toISOString();
    this.note({ type: "queue-operation", operation, timestamp, sessionId: this.identity.sessionId, ...rest });
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines.length === 0) return;
    const text = this.#lines.join("\n") + "\n";
    this.#lines = [];
    if (!this.enabled) return;
    const folder = projectFolder(this.identity.config, this.identity.cwd);
    if (!this.#created) Deno.mkdirSync(folder, { recursive: true });
    this.#created = true;
    Deno.writeTextFileSync(transcriptPath(this.identity), text, { append: true });
  }
}

interface HookCommand {
  readonly type?: string;
  readonly command?: string;
  readonly args?: readonly string[];
  readonly timeout?: number;
  readonly async?: boolean;
}
interface HookGroup {
  readonly matcher?: string;
  readonly hooks?: readonly HookCommand[];
}
export interface Settings {
  readonly hooks?: Readonly<Record<string, readonly HookGroup[]>>;
  readonly skipDangerousModePermissionPrompt?: boolean;
  readonly disableAllHooks?: boolean;
}
export interface HookResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly command: string;
  readonly ms: number;
}

export class Hooks {
  readonly #running = new Set<Deno.ChildProcess>();

  constructor(
    readonly identity: Identity,
    readonly settings: readonly Settings[],
    readonly enabled: boolean,
  ) {}

  /** Runs the event's commands together; returns what each came to. */
  async run(event: string, payload: Record<string, unknown>, tool = ""): Promise<HookResult[]> {
    if (!this.enabled) return [];
    const groups = this.settings.flatMap((settings) => settings.hooks?.[event] ?? []);
    const commands = groups
      .filter(({ matcher }) =>
        !matcher || matcher === "*" || tool === "" || new RegExp(`^(?:${matcher})$`).test(tool)
      )
      .flatMap((group) => group.hooks ?? [])
      .filter((hook) => (hook.type ?? "command") === "command" && hook.command !== undefined);
    const input = JSON.stringify({
      session_id: this.identity.sessionId,
      transcript_path: transcriptPath(this.identity),
      cwd: this.identity.cwd,
      ...payload,
      hook_event_name: event,
    });
    const results = await Promise.all(commands.map((hook) => {
      const done = this.#spawn(hook, input);
      return hook.async ? null : done;
    }));
    return results.filter((result) => result !== null);
  }

  async #spawn(hook: HookCommand, input: string): Promise<HookResult> {
    const command = hook.command ?? "";
    const [program, args] = hook.args === undefined ? ["sh", ["-c", command]] : [command, hook.args];
    const began = performance.now();
    const child = new Deno.Command(program, {
      args: [...args],
      cwd: this.identity.cwd,
      env: {
        CLAUDE_PID: String(Deno.pid),
        CLAUDE_CODE_SESSION_ID: this.identity.sessionId,
        CLAUDE_PROJECT_DIR: this.identity.cwd,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#running.add(child);
    const timer = setTimeout(() => stop(child), (hook.timeout ?? DEFAULT_HOOK_TIMEOUT_S) * 1000);
    const writer = child.stdin.getWriter();
    writer.write(new TextEncoder().encode(input)).then(() => writer.close()).catch(() => {});
    const output = await child.output();
    clearTimeout(timer);
    this.#running.delete(child);
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return {
      code: output.code,
      stdout: decode(output.stdout),
      stderr: decode(output.stderr),
      command,
      ms: Math.round(performance.now() - began),
    };
  }

  stopAll(): void {
    for (const child of this.#running) stop(child);
  }
}

function stop(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended.
  }
}
