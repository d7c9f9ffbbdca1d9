/** What is said of a session's lock that others keep, that can't be used, or that a stopped command does not wait for. */

import { rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { Link } from "../../../backends/codex/link.ts";
import { Requests } from "../../../backends/codex/requests.ts";
import { SessionThread } from "../../../backends/codex/session_thread.ts";
import { lockSession } from "../../../backends/session_lock.ts";
import { AppError } from "../../../lib/errors.ts";
import { realClock, realDeps } from "../../../lib/real_deps.ts";
import type { PendingInput } from "../../../lib/session.ts";
import { session } from "../cli/harness.ts";

/** Limits in minutes are over in moments. */
const clock = { ...realClock, monotonic: () => realClock.monotonic() * 10_000 };
const never = () => new AbortController().signal;
const intent = { verb: "answer", id: "fizz-top", untouched: "Nothing was answered" };

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** As another process holds it. */
async function hold(file: string): Promise<Deno.FsFile> {
  const held = await Deno.open(file, { read: true, write: true, create: true });
  held.lockSync(true);
  return held;
}

const lock = (file: string, signal = never()) =>
  lockSession(intent, file, { timeoutMs: 60_000, clock, signal });

const saying = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof AppError && error.code === code && message.test(error.message);

Deno.test("lockSession() gives the lock, or says that others keep it", () =>
  withFolder(async (folder) => {
    const file = join(folder, "send.lock");
    {
      using _held = await hold(file);
      strictEqual(await lock(file), "held");
    }
    const mine = await lock(file);
    strictEqual(await lock(file), "held");
    if (mine !== "held") mine[Symbol.dispose]();
    const next = await lock(file);
    if (next !== "held") next[Symbol.dispose]();
    strictEqual(typeof next, "object");
  }));

Deno.test("lockSession() of a lock that can't be used delivers nothing", () =>
  withFolder(async (folder) => {
    const file = join(folder, "send.lock");
    await rejects(
      lock(join(folder, "missing", "send.lock")),
      saying(
        "not_delivered",
        /^Cannot answer "fizz-top": its folder ".*\/missing" can't be used: .*\. Nothing was answered\. Check/,
      ),
    );
    await Deno.mkdir(file);
    await rejects(lock(file), saying("not_delivered", /can't be used: Is a directory/));
  }));

Deno.test("lockSession() of a command that is stopped is interrupted, also where the lock is free", () =>
  withFolder(async (folder) => {
    const file = join(folder, "send.lock");
    const stopped = saying("interrupted", /^Cannot answer "fizz-top": interrupted\. Nothing was answered$/);
    await rejects(lock(file, AbortSignal.abort()), stopped);
    using _held = await hold(file);
    const stop = new AbortController();
    const waiting = rejects(
      lockSession(intent, file, { timeoutMs: 60_000, clock: realClock, signal: stop.signal }),
      stopped,
    );
    stop.abort();
    await waiting;
  }));

Deno.test("an answer to Codex for which the lock is not to be had is not delivered", () =>
  withFolder(async (folder) => {
    const file = join(folder, "send.lock");
    const handle = { codexHome: folder, url: null, tokenFile: null, threadId: "t" };
    const row = session({ handle, agent: "codex" });
    const deps = { ...realDeps(), clock };
    const link = new Link(deps, handle, "agent");
    const thread = new SessionThread(deps, link, row, join(folder, "retry.json"));
    const requests = new Requests(deps, row, thread, file);
    const pending: PendingInput = {
      kind: "permission",
      tool: "shell",
      input: null,
      summary: "shell: ls",
      detail: null,
      options: ["approve", "deny"],
      questions: [],
      always: null,
      requestId: "call_1.0",
      since: null,
      answerable: "direct",
      subagent: null,
    };
    using _held = await hold(file);
    await rejects(
      requests.answer(pending, { kind: "approve" }, never()),
      saying("not_delivered", /other commands keep its lock\. Nothing was answered$/),
    );
  }));
