/** The command tree: finds the verb, runs it, prints what it came to, and returns the exit code. */

import { AppError, EXIT_CODES, WORST_FIRST } from "../errors.ts";
import type { Deps } from "../deps.ts";
import type { SessionService } from "../service.ts";
import type { Command } from "@stricli/core";
import { clearProgress, type OutputOptions, printError, printResult, type Result } from "./output.ts";
import { findVerb, type FoundVerb, verbsBelow } from "./find_verb.ts";
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
  "doctor": { brief: "Examine this installation", load: () => import("./doctor.ts") },
  "install-skill": { brief: "Teach agents to use dev-sessions", load: () => import("./install_skill.ts") },
  "completions": { brief: "Print a shell's completion script", load: () => import("./completions.ts") },
  "upgrade": { brief: "Install a newer release", load: () => import("./upgrade.ts") },
  "gateway": { brief: "Serve sessions to containers", load: () => import("./gateway.ts") },
  "gateway install": { brief: "Run the gateway as a service", load: () => import("./gateway_install.ts") },
  "gateway uninstall": {
    brief: "Remove the gateway's service",
    load: () => import("./gateway_uninstall.ts"),
  },
  "gateway status": {
    brief: "Tell whether the gateway's service runs",
    load: () => import("./gateway_status.ts"),
  },
  "gateway token create": {
    brief: "Make a token for the gateway",
    load: () => import("./gateway_token_create.ts"),
  },
  "gateway token list": { brief: "List the gateway's tokens", load: () => import("./gateway_token_list.ts") },
  "gateway token revoke": {
    brief: "Make tokens of the gateway invalid",
    load: () => import("./gateway_token_revoke.ts"),
  },
};

const SEE_HELP = "See: dev-sessions help";

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
  /** The last so many arguments of this process as bytes; null where the system does not tell. */
  readonly argumentBytes: (count: number) => Uint8Array[] | null;
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
    await assertUtf8(argv, cli);
    const invocation = argv[0] === "__complete"
      ? await completion(argv.slice(1), cli.deps)
      : await understand(argv, cli);
    return await execute(invocation, cli, { ...options, json: invocation.json });
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    return printError(terminal, error, options);
  }
}

/** Only a replaced byte looks like this, or a replacement that somebody has really written. */
async function assertUtf8(argv: readonly string[], cli: CliDeps): Promise<void> {
  if (!argv.some((argument) => argument.includes("\uFFFD"))) return;
  const bytes = cli.argumentBytes(argv.length);
  if (bytes === null) return;
  const error = (await import("./argument_bytes.ts")).notUtf8(argv, bytes);
  if (error !== null) throw error;
}

/** For the scripts that `completions` prints. */
async function completion(argv: readonly string[], deps: Deps): Promise<Invocation> {
  const { complete } = await import("./completion/complete.ts");
  return { json: false, long: false, run: async () => ({ text: await complete(argv, VERBS, deps) }) };
}

/** For what no command caught: prints one line and returns the exit code. */
export function reportCrash(error: unknown, { terminal, env }: Deps): number {
  return printError(terminal, error, { json: false, debug: env["DEV_SESSIONS_DEBUG"] === "1" });
}

async function understand(argv: readonly string[], { deps, version }: CliDeps): Promise<Invocation> {
  const [name = "help", ...rest] = argv;
  if (name === "--version" || name === "-V") {
    const unknown = rest.find((argument) => argument.startsWith("-") && argument !== "--json");
    if (unknown !== undefined) throw usageError(`error: unknown option '${unknown}'`, SEE_HELP);
    return rest.includes("--json") ? (await import("./version.ts")).versions(version) : answer(version);
  }
  if (name === "help" || name === "--help" || name === "-h") {
    const topics = rest.filter((argument) => argument !== "--help" && argument !== "-h");
    const [topic, excess] = topics;
    const isDeeper = verbsBelow(topic ?? "", Object.keys(VERBS)).length > 0;
    if (excess !== undefined && !isDeeper) {
      throw usageError(
        `error: too many arguments for 'help'. Expected 1 argument but got ${rest.length}.`,
        SEE_HELP,
      );
    }
    if (topic === undefined || topic === "exit-codes" || topic === "help") {
      const { exitCodesHelp, rootHelp } = await import("./help.ts");
      const verbs = Object.entries(VERBS).map(([name, { brief }]) => ({ name, brief }));
      return answer(topic === "exit-codes" ? exitCodesHelp() : rootHelp(verbs));
    }
    return await invocationOf([...topics, "--help"], deps);
  }
  return await invocationOf(argv, deps);
}

async function invocationOf(argv: readonly string[], deps: Deps): Promise<Invocation> {
  const names = Object.keys(VERBS);
  const [first = ""] = argv;
  const found: FoundVerb = Object.hasOwn(HIDDEN_VERBS, first)
    ? { kind: "verb", name: first, rest: argv.slice(1) }
    : findVerb(argv, names);
  const { parse } = await import("./parse.ts");
  switch (found.kind) {
    case "verb":
      return await parse(found.name, own(found.name), found.rest, names, deps);
    case "unknown":
      return await parse(found.words, null, [], found.candidates, deps);
    case "incomplete": {
      const { commandsBelow } = await import("./help.ts");
      const below = commandsBelow(
        verbsBelow(found.words, names).map((name) => ({ name, brief: VERBS[name]!.brief })),
      );
      if (found.rest.some((argument) => argument === "--help" || argument === "-h")) return answer(below);
      throw usageError(`error: '${found.words}' is no command by itself`, below);
    }
  }
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
