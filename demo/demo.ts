/**
 * Shows Claude Code and Codex at work side by side, as a script would use them: every command and its output are real, everything runs
 * in a temporary home of its own, and nothing is left running or lying about.
 */

import { join } from "node:path";
import { CLAUDE_VERSION, CODEX_VERSION, ensureClaude, ensureCodex } from "../tests/support/agent_install.ts";
import { createCodexSandbox } from "../tests/support/codex_sandbox.ts";
import { eventually, type Sandbox } from "../tests/support/harness.ts";

const ENCODER = new TextEncoder();
const STEP_TIMEOUT_MS = 60_000;
const REST_TIMEOUT_MS = 5_000;
const INSTALL_TMUX = "Install it with: apt install tmux (Debian, Ubuntu) or brew install tmux (macOS)";

class DemoError extends Error {}

function print(text: string): void {
  const bytes = ENCODER.encode(text);
  for (let written = 0; written < bytes.length;) {
    written += Deno.stdout.writeSync(bytes.subarray(written));
  }
}

/** As a shell would need it. */
function quoted(argument: string): string {
  return /^[\w./:=@+-]+$/.test(argument) ? argument : `"${argument.replace(/["$`\\]/g, "\\$&")}"`;
}

/** Runs one command of the CLI and prints it with all that it prints. @throws DemoError unless its exit code is 0. */
async function step(sandbox: Sandbox, signal: AbortSignal, ...args: string[]): Promise<string> {
  signal.throwIfAborted();
  print(`\n$ dev-sessions ${args.map(quoted).join(" ")}\n`);
  const running = sandbox.run(args, { timeoutMs: STEP_TIMEOUT_MS });
  const { code, stdout, stderr } = await unlessAborted(running, signal);
  print(stdout + stderr);
  if (code !== 0) throw new DemoError(`"dev-sessions ${args[0]}" ended with exit code ${code}`);
  return stdout.trim();
}

/** @throws the signal's reason at once when it aborts; closing the sandbox then ends what still runs. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    promise.catch(() => {});
  }
}

async function show(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  const dev = (...args: string[]) => step(sandbox, signal, ...args);
  const idOf = (created: string) => created.split(" ").at(-1) ?? "";
  const api = await sandbox.folder("api");
  const web = await sandbox.folder("web");

  print("\n# Claude Code and Codex, each in a folder of its own.\n");
  const quick = idOf(await dev("create", "-p", api, "-d", "answers at once"));
  const busy = idOf(await dev("create", "-p", web, "-d", "runs commands", "--cli", "codex"));

  print("\n# Hand both some work. send returns when the agent's own record has the message.\n");
  await dev("send", quick, "Which port does the API use? SCRIPT:plain It listens on port 8080.");
  await dev("send", busy, "Run the checks. SCRIPT:rounds 2 sleep 2");
  await dev("list");

  print("\n# Whichever is done first, then the rest.\n");
  await dev("wait", "--any", quick, busy);
  await dev("status", busy);
  await dev("wait", "--all", quick, busy);

  print("\n# What they said, and what one of them does now.\n");
  await dev("last-message", quick);
  await dev("last-message", busy);
  await dev("status", busy, "--json");

  print("\n# End both. Their conversations stay readable.\n");
  await dev("kill", quick, busy);
  await dev("list", "--all");
  await dev("last-message", quick);

  await eventually(async () => (await sandbox.processesOf()).length === 0, {
    timeoutMs: REST_TIMEOUT_MS,
    what: "no agent, no tmux server and no app-server is left after kill",
  });
}

async function assertTmux(): Promise<void> {
  try {
    await new Deno.Command("tmux", { args: ["-V"], stdin: "null", stdout: "null", stderr: "null" }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new DemoError(`tmux was not found on PATH. ${INSTALL_TMUX}`);
  }
}

async function demo(signal: AbortSignal): Promise<void> {
  if (Deno.build.os !== "linux") {
    throw new DemoError("it looks after its processes in /proc, so it needs Linux");
  }
  await assertTmux();
  print(
    `Claude Code ${CLAUDE_VERSION} and Codex ${CODEX_VERSION}: installed from the npm registry by the first run, ` +
      "then cached.\n",
  );
  await ensureClaude();
  await ensureCodex();
  signal.throwIfAborted();
  const begin = performance.now();
  const both = await createCodexSandbox("claude");
  const { sandbox } = both;
  try {
    print(`The agents are real, their models are scripts on loopback: a message says what they are to
answer with "SCRIPT:". All of it happens in ${
      join(sandbox.root, "/")
    }, your own settings are not touched.\n`);
    await show(sandbox, signal);
  } finally {
    await both[Symbol.asyncDispose]();
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  print(`\nDone in ${seconds} s. Checked: no agent, no server and no folder of the demo is left.\n`);
}

const stop = new AbortController();
const onSignal = () => stop.abort(new DemoError("interrupted; everything it had started is ended"));
for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, onSignal);
try {
  await demo(stop.signal);
} catch (error) {
  const reason = stop.signal.aborted ? stop.signal.reason : error;
  const text = reason instanceof Error ? reason.message : String(reason);
  const cause = reason instanceof Error && reason.cause instanceof Error ? `\n${reason.cause.message}` : "";
  print(`\nThe demo failed: ${text}${cause}\n`);
  Deno.exitCode = 1;
} finally {
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(name, onSignal);
}
