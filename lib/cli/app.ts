/** The command tree: finds the verb, runs it, prints what it came to, and returns the exit code. */

import { AppError, EXIT_CODES, WORST_FIRST } from "../errors.ts";
import type { Deps } from "../deps.ts";
import type { SessionService } from "../service.ts";
import type { Command } from "@stricli/core";
import { clearProgress, type OutputOptions, printError, printResult, type Result } from "./output.ts";
import { answer, type CliContext, type Invocation, type ParseContext, usageError } from "./verb.ts";

interface Verb {
  readonly brief: string;
  readonly load: () => Promise<{ readonly command: Command<ParseContext> }>;
}

/** Every verb by its name: one line each, in the order of the help page. */
export const VERBS: Readonly<Record<string, Verb>> = {
  "create": { brief: "Start an agent", load: () => import("./create.ts") },
  "send": { brief: "Send a message to an agent", load: () => import("./send.ts") },
  "ask": { brief: "Send a message, wait and print the reply", load: () => import("./ask.ts") },
  "interrupt": { brief: "Stop an agent's running turn", load: () => import("./interrupt.ts") },
  "wait": { brief: "Wait for the end of agents' turns", load: () => import("./wait.ts") },
  "respond": { brief: "Answer what a session waits for", load: () => import("./respond.ts") },
  "status": { brief: "Print what a session does", load: () => import("./status.ts") },
  "last-message": { brief: "Print an agent's last message", load: () => import("./last_message.ts") },
  "logs": { brief: "Print the conversation", load: () => import("./logs.ts") },
  "events": { brief: "Print what happens, as JSON lines", load: () => import("./events.ts") },
  "list": { brief: "List sessions", load: () => import("./list.ts") },
  "inspect": { brief: "Print a session's stored record", load: () => import("./inspect.ts") },
  "usage": { brief: "Print the tokens that sessions have used", load: () => import("./usage.ts") },
  "goal": { brief: "Give a session a goal, or tell its goal", load: () => import("./goal.ts") },
  "attach": { brief: "Join a session in this terminal", load: () => import("./attach.ts") },
  "kill": { brief: "End sessions", load: () => import("./kill.ts") },
  "resume": { brief: "Bring an ended session back to life", load: () => import("./resume.ts") },
  "prune": { brief: "Forget ended sessions", load: () => import("./prune.ts") },
};

/** For programs only: no page, no table and no suggestion has them. */
const HIDDEN_VERBS: Readonly<Record<string, Verb["load"]>> = {
  "rpc": () => import("./rpc.ts"),
};

type ClosableService = SessionService & { close(): void | Promise<void> };

/** What the command line needs beyond `Deps`. */
export interface CliDeps {
  readonly deps: Deps;
  readonly version: string;
  readonly openService: (deps: Deps) => Promise<ClosableService>;
  readonly runInTerminal: CliContext["runInTerminal"];
  /** Calls `stop` once, at the first SIGINT or SIGTERM; returns how to stop listening. */
  readonly onStop: (stop: () => void) => () => void;
}

/** Never throws: every error is printed, and made into the exit code that is returned. */
export async function runCli(argv: readonly string[], cli: CliDeps): Promise<number> {
  const { terminal, env } = cli.deps;
  const end = argv.indexOf("--");
  const options: OutputOptions = {
    json: argv.slice(0, end === -1 ? undefined : end).includes("--json"),
    debug: env["DEV_SESSIONS_DEBUG"] === "1",
  };
  try {
    const invocation = await understand(argv, cli);
    return await execute(invocation, cli, { ...options, json: invocation.json });
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    return printError(terminal, error, options);
  }
}

/** For what no command caught: prints one line and returns the exit code. */
export function reportCrash(error: unknown, { terminal, env }: Deps): number {
  return printError(terminal, error, { json: false, debug: env["DEV_SESSIONS_DEBUG"] === "1" });
}

async function understand(argv: readonly string[], { deps, version }: CliDeps): Promise<Invocation> {
  const [name = "help", ...rest] = argv;
  if (name === "--version" || name === "-V") return answer(version);
  if (name === "help" || name === "--help" || name === "-h") {
    const [topic, excess] = rest.filter((argument) => argument !== "--help" && argument !== "-h");
    if (excess !== undefined) {
      throw usageError(`error: too many arguments for 'help'. Expected 1 argument but got ${rest.length}.`);
    }
    if (topic === undefined || topic === "exit-codes" || topic === "help") {
      const { exitCodesHelp, rootHelp } = await import("./help.ts");
      const verbs = Object.entries(VERBS).map(([name, { brief }]) => ({ name, brief }));
      return answer(topic === "exit-codes" ? exitCodesHelp() : rootHelp(verbs));
    }
    return await (await import("./parse.ts")).parse(topic, own(topic), ["--help"], Object.keys(VERBS), deps);
  }
  return await (await import("./parse.ts")).parse(name, own(name), rest, Object.keys(VERBS), deps);
}

function own(name: string): Verb["load"] | null {
  if (Object.hasOwn(HIDDEN_VERBS, name)) return HIDDEN_VERBS[name]!;
  return Object.hasOwn(VERBS, name) ? VERBS[name]!.load : null;
}

async function execute(invocation: Invocation, cli: CliDeps, options: OutputOptions): Promise<number> {
  const { deps } = cli;
  const stop = new AbortController();
  let opened: Promise<ClosableService> | null = null;
  const context: CliContext = {
    deps,
    signal: stop.signal,
    service: () => opened ??= cli.openService(deps),
    runInTerminal: cli.runInTerminal,
  };
  const stopListening = invocation.long ? cli.onStop(() => stop.abort()) : () => {};
  let exitCode = 0;
  try {
    const running = invocation.run(context);
    const results = Symbol.asyncIterator in running ? running : single(running);
    for await (const result of results) {
      if (result.failure) exitCode = worse(exitCode, EXIT_CODES[result.failure.code]);
      printResult(deps.terminal, result, options);
    }
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return exitCode;
    exitCode = worse(exitCode, printError(deps.terminal, interruption(error, stop.signal), options));
  } finally {
    stopListening();
    clearProgress(deps.terminal);
    await closeQuietly(opened);
  }
  return exitCode;
}

async function* single(result: Promise<Result>): AsyncIterable<Result> {
  yield await result;
}

/** The more urgent of two exit codes. */
export function worse(a: number, b: number): number {
  return WORST_FIRST.indexOf(a) <= WORST_FIRST.indexOf(b) ? a : b;
}

function interruption(error: unknown, signal: AbortSignal): unknown {
  if (!signal.aborted || error instanceof AppError) return error;
  return new AppError("interrupted", "Interrupted");
}

async function closeQuietly(opened: Promise<ClosableService> | null): Promise<void> {
  try {
    await (await opened)?.close();
  } catch {
    // Whoever awaited the service has reported why it did not open; what an agent shares is left as it is.
  }
}
