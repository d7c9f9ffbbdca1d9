/** Calls tmux with exact targets, bounded time and an answer that says what is proven and what is not. */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";

/** A healthy server answers in 2 to 40 ms; a stopped one never does. */
const TMUX_TIMEOUT_MS = 5_000;

/** For tidying up on the way of another command, which must not be held up by it. */
export const TIDY_TIMEOUT_MS = 1_500;

/** A server takes a few milliseconds to end after its last session. */
const EXIT_ATTEMPTS = 10;
const EXIT_PAUSE_MS = 20;

/** The user option that marks a session as ours; its value is the row's token. */
export const TOKEN_OPTION = "@dev_sessions_token";

/** Beside it: the state folder of the registry that the token belongs to. */
export const REGISTRY_OPTION = "@dev_sessions_registry";

export type TmuxResult =
  | { readonly kind: "ok"; readonly stdout: string }
  /** The server answered no. */
  | { readonly kind: "failed"; readonly reason: TmuxFailure; readonly message: string }
  /** No answer in time: the command may still be carried out later. */
  | { readonly kind: "unresponsive" };

/** `server_exited`: it was there and is no more, with all its sessions. */
export type TmuxFailure = "no_server" | "server_exited" | "no_target" | "duplicate" | "other";

/** Reads tmux's error line. Texts hold for 3.1c to 3.8. */
export function classifyFailure(stderr: string): TmuxFailure {
  if (/^duplicate session: /m.test(stderr)) return "duplicate";
  if (/^can't find (session|pane|window): /m.test(stderr)) return "no_target";
  if (/^(no server running on |error connecting to .*\(No such file or directory\))/m.test(stderr)) {
    return "no_server";
  }
  // A client that meets a server on its way out; a server without sessions has no current target.
  if (/^(server exited unexpectedly|lost server)$/m.test(stderr)) return "server_exited";
  if (/^no current target$/m.test(stderr)) return "no_target";
  return "other";
}

/** tmux takes an argument that ends in `;` for a command separator. */
export function escapeArgument(argument: string): string {
  return argument.endsWith(";") ? `${argument.slice(0, -1)}\\;` : argument;
}

/** Joins commands into one client call; each command's arguments are literal. */
export function sequence(...commands: readonly (readonly string[])[]): string[] {
  return commands.flatMap((command, index) => [
    ...(index === 0 ? [] : [";"]),
    ...command.map(escapeArgument),
  ]);
}

/** One session that matches this name exactly, never one whose name starts with it. */
export function exactSession(name: string): string {
  return `=${name}`;
}

export class Tmux {
  constructor(
    private readonly deps: Deps,
    readonly socket: string,
    /** For the server, should this call start it. */
    private readonly env: Readonly<Record<string, string>> = scrubForTmux(deps.env),
  ) {}

  /** @throws AppError when tmux is not installed. */
  async run(args: readonly string[], timeoutMs = TMUX_TIMEOUT_MS): Promise<TmuxResult> {
    const result = await this.deps.run("tmux", ["-u", "-S", this.socket, ...args], {
      env: this.env,
      timeoutMs,
    });
    switch (result.kind) {
      case "not_found":
        throw new AppError(
          "failure",
          "Cannot run tmux: it was not found on PATH. Install it with: apt install tmux (Debian, Ubuntu) or brew install tmux (macOS)",
        );
      case "timed_out":
        return { kind: "unresponsive" };
      case "exited":
        // Where it can't make its socket, tmux 3.3a says so and exits with 0.
        if (result.code === 0 && (result.stdout !== "" || result.stderr === "")) {
          return { kind: "ok", stdout: result.stdout };
        }
        return {
          kind: "failed",
          reason: classifyFailure(result.stderr),
          message: result.stderr.trim() || `tmux exited with ${result.code}`,
        };
    }
  }

  /**
   * As `run`, but asks again while a server that is ending answers; only for what prints something and may be asked
   * of its successor.
   */
  async unlessExiting(args: readonly string[], timeoutMs = TMUX_TIMEOUT_MS): Promise<TmuxResult> {
    for (let attempt = 1;; attempt++) {
      const result = await this.run(args, timeoutMs);
      const ended = result.kind === "ok"
        ? result.stdout === ""
        : result.kind === "failed" && result.reason === "server_exited";
      if (!ended || attempt === EXIT_ATTEMPTS) return result;
      await this.deps.clock.sleep(EXIT_PAUSE_MS);
    }
  }

  /** The sessions that carry a token, from one call; `unknown` when the server does not answer. */
  async marked(timeoutMs = TMUX_TIMEOUT_MS): Promise<ReadonlyMap<string, MarkedPane> | "unknown"> {
    const format = `#{${TOKEN_OPTION}}\t#{session_name}\t#{pane_id}\t#{pane_dead}\t#{pane_pid}\t` +
      `#{session_attached}\t#{pane_dead_status}\t#{pane_dead_signal}\t#{${REGISTRY_OPTION}}`;
    const result = await this.unlessExiting(["list-panes", "-a", "-F", format], timeoutMs);
    switch (result.kind) {
      case "unresponsive":
        return "unknown";
      case "failed":
        return result.reason === "no_server" || result.reason === "no_target" ? new Map() : "unknown";
      case "ok":
        return parseMarkedPanes(result.stdout);
    }
  }

  /** Ends the session with this token, and no other. */
  async killMarked(token: string, timeoutMs = TMUX_TIMEOUT_MS): Promise<"gone" | "unknown"> {
    const marked = await this.marked(timeoutMs);
    if (marked === "unknown") return "unknown";
    const pane = marked.get(token);
    if (pane === undefined) return "gone";
    const result = await this.run(["kill-session", "-t", exactSession(pane.session)]);
    switch (result.kind) {
      case "ok":
        return "gone";
      case "unresponsive":
        return "unknown";
      case "failed":
        return result.reason === "other" ? "unknown" : "gone";
    }
  }

  /** The screen and what scrolled off it ("Pane is dead" does that) as text; null when it can't be had. */
  async screen(pane: string): Promise<string | null> {
    const result = await this.run(["capture-pane", "-p", "-S", "-", "-t", pane], TIDY_TIMEOUT_MS);
    return result.kind === "ok" ? result.stdout : null;
  }
}

export interface MarkedPane {
  readonly session: string;
  readonly pane: string;
  readonly pid: number;
  readonly dead: boolean;
  readonly attached: boolean;
  /** Whether anything else lives in its session: somebody has opened another window or pane there. */
  readonly shared: boolean;
  /** State folder of its registry; null for one that an earlier version started. */
  readonly registry: string | null;
  /** `exit 3` or `signal 9`, once the pane is dead and tmux knows. */
  readonly end: string | null;
}

/** Pure; lines without a token are other people's panes. The first pane of a session is the agent's. */
export function parseMarkedPanes(stdout: string): Map<string, MarkedPane> {
  const found = new Map<string, { -readonly [name in keyof MarkedPane]: MarkedPane[name] }>();
  for (const line of stdout.split("\n")) {
    const [token, session, pane, dead, pid, attached, status, signal, registry] = line.split("\t");
    if (!token || !session || !pane) continue;
    const first = found.get(token);
    if (first !== undefined) {
      first.shared ||= dead !== "1" && pane !== first.pane;
      continue;
    }
    found.set(token, {
      session,
      pane,
      pid: Number(pid),
      dead: dead === "1",
      attached: Number(attached) > 0,
      shared: false,
      registry: registry || null,
      end: signal ? `signal ${signal}` : status ? `exit ${status}` : null,
    });
  }
  return found;
}

/** A server that we happen to start must not hand our pane or a shell's quirks to everyone else's. */
function scrubForTmux(env: Readonly<Record<string, string>>): Record<string, string> {
  const clean = { ...env };
  delete clean["TMUX"];
  delete clean["TMUX_PANE"];
  return clean;
}
