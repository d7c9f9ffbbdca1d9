import assert from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import type { WaitRequest } from "../../../lib/service.ts";
import type { WaitOutcome } from "../../../lib/session.ts";
import { call, checkRows, outcome, PERMISSION, receipt, refused } from "./harness.ts";

const waiting = (given: WaitOutcome) => ({
  service: {
    async *wait() {
      yield outcome("fizz-top", given);
    },
  },
});

Deno.test("ask sends, waits for that delivery and reads the reply", async (t) => {
  const wait = {
    ids: ["fizz-top"],
    any: false,
    timeoutMs: 300_000,
    pollMs: null,
    receipt: "r-1",
    background: false,
  };
  const send = { id: "fizz-top", text: "hi", render: null, key: null, sender: null };
  await checkRows(t, [
    {
      name: "a message",
      argv: ["ask", "fizz-top", "hi"],
      asked: [{ send }, { wait }, { lastMessages: ["fizz-top", 1, "r-1"] }],
      stdout: "done\n",
      stderr: "receipt r-1\n",
    },
    {
      name: "a mode",
      argv: ["ask", "fizz-top", "hi", "--interrupt"],
      given: {
        service: {
          send: ({ id }) =>
            Promise.resolve({ id, receipt: receipt({ reason: "it was interrupted" }), repeated: false }),
        },
      },
      asked: [{ send: { ...send, mode: "interrupt" } }, { wait }, { lastMessages: ["fizz-top", 1, "r-1"] }],
      stdout: "done\n",
      stderr: "receipt r-1\nfizz-top: it was interrupted\n",
    },
    {
      name: "timeout, key, stdin",
      argv: ["ask", "fizz-top", "-t", "1.5", "--key", "k", "-f", "-"],
      given: { stdin: "q" },
      asked: [{ send: { ...send, text: "q", key: "k" } }, { wait: { ...wait, timeoutMs: 1500 } }, {
        lastMessages: ["fizz-top", 1, "r-1"],
      }],
      stdout: "done\n",
      stderr: "receipt r-1\n",
    },
  ]);
});

Deno.test("ask of a group prints each reply as it comes, and says of each why there is none", async (t) => {
  const ids = ["fizz-top", "riven-jg", "vi-mid", "zed-adc"];
  const release = Promise.withResolvers<void>();
  const service = {
    expand: () => Promise.resolve({ ids, leftOut: [{ id: "garen-top", why: "it runs this command" }] }),
    send: ({ id }: { id: string }) =>
      id === "vi-mid"
        ? Promise.reject(new AppError("agent_gone", "its agent is gone"))
        : Promise.resolve({ id, receipt: receipt({ receipt: `r-${id}` }), repeated: false }),
    async *wait({ ids: [id = ""] }: WaitRequest) {
      if (id === "fizz-top") await release.promise;
      if (id === "riven-jg") yield outcome(id, { outcome: "failed", error: "overloaded" });
      else yield outcome(id, { outcome: "completed" });
    },
    lastMessages: (id: string, _count: number, receipt?: string | null) => {
      if (id === "zed-adc") release.resolve();
      return Promise.resolve([`${id} answers ${receipt}`]);
    },
  };
  const given = { service, env: { DEV_SESSIONS_ID: "garen-top" } };
  await checkRows(t, [
    {
      name: "text",
      argv: ["ask", "@api", "hi"],
      given,
      code: 7,
      stdout: "==> zed-adc <==\nzed-adc answers r-zed-adc\n\n==> fizz-top <==\nfizz-top answers r-fizz-top\n",
      stderr: new RegExp(
        "^Left out garen-top: it runs this command\\n" +
          "(?=[^]*^fizz-top receipt r-fizz-top\\n)(?=[^]*^riven-jg receipt r-riven-jg\\n)(?=[^]*^its agent is gone\\n)" +
          '[^]*^The turn of "riven-jg" failed: overloaded\\n',
        "m",
      ),
    },
  ]);
  const { stdout } = await call(["ask", "@api", "hi", "--json"], given);
  assert.deepEqual(
    stdout.trimEnd().split("\n").map((line) => JSON.parse(line)).map((
      one,
    ) => [one.id, one.outcome, one.receipt]).toSorted(),
    [["fizz-top", "completed", "r-fizz-top"], ["riven-jg", "failed", "r-riven-jg"], [
      "zed-adc",
      "completed",
      "r-zed-adc",
    ]],
  );
});

Deno.test("ask refuses what it can't ask", async (t) => {
  await checkRows(
    t,
    refused([
      [["ask", "fizz-top"], "Message is required. Use <message> or --file <path>."],
      [["ask", "fizz-top", "hi", "-t", "x"], "--timeout must be a positive integer"],
      [["ask", "fizz-top", "hi", "-t", "-5"], "--timeout must be a positive integer"],
      [["ask", "fizz-top", "hi"], 'Cannot ask "fizz-top": it is the session that runs this command', {
        env: { DEV_SESSIONS_ID: "fizz-top" },
      }],
    ]),
  );
});

Deno.test("ask prints the reply, or why there is none", async (t) => {
  const result = (name: string, given: WaitOutcome, code: number, stdout: string, stderr: string) => ({
    name,
    argv: ["ask", "fizz-top", "hi", "-t", "2"],
    given: waiting(given),
    code,
    stdout,
    stderr: `receipt r-1\n${stderr}`,
  });
  await checkRows(t, [
    result("completed", { outcome: "completed" }, 0, "done\n", ""),
    result(
      "failed",
      { outcome: "failed", error: "API 500" },
      6,
      "",
      'The turn of "fizz-top" failed: API 500\n',
    ),
    result("interrupted", { outcome: "interrupted" }, 6, "", 'The turn of "fizz-top" was interrupted\n'),
    result(
      "gone",
      { outcome: "gone", reason: "exit 1" },
      7,
      "",
      'The agent of "fizz-top" is gone: exit 1. Bring it back with: dev-sessions resume fizz-top\n',
    ),
    result(
      "waits for input",
      { outcome: "waiting_for_input", pending: PERMISSION, others: [] },
      5,
      "",
      '"fizz-top" waits for a permission (Bash: rm -rf dist)\n  approve\n  deny\n' +
        "  Answer it with: dev-sessions respond fizz-top --approve\n",
    ),
    result(
      "timed out",
      { outcome: "timed_out", state: "working" },
      124,
      "",
      "Timed out waiting for fizz-top after 2s (the agent keeps working; " +
        "use 'wait fizz-top' then 'last-message fizz-top' to pick up the reply)\n",
    ),
    {
      name: "no reply",
      argv: ["ask", "fizz-top", "hi"],
      given: { service: { lastMessages: () => Promise.resolve([]) } },
      stdout: "",
      stderr: "receipt r-1\n",
    },
    {
      name: "not delivered: no wait, no receipt line",
      argv: ["ask", "fizz-top", "hi"],
      given: {
        service: {
          send: () =>
            Promise.resolve({
              id: "fizz-top",
              receipt: receipt({ result: "refused", reason: "no" }),
              repeated: false,
            }),
        },
      },
      code: 4,
      stdout: "",
      stderr: 'Cannot send to "fizz-top": no. Nothing was delivered\n',
    },
  ]);
});

Deno.test("ask --json prints receipt, outcome and reply", async () => {
  const done = await call(["ask", "fizz-top", "hi", "--json"]);
  assert.deepEqual(JSON.parse(done.stdout), {
    id: "fizz-top",
    receipt: "r-1",
    outcome: "completed",
    reply: "done",
  });
  const failed = await call(["ask", "fizz-top", "hi", "--json"], waiting({ outcome: "interrupted" }));
  assert.deepEqual(JSON.parse(failed.stdout), {
    id: "fizz-top",
    receipt: "r-1",
    outcome: "interrupted",
    reply: null,
  });
  assert.equal(failed.code, 6);
});

Deno.test("ask names the receipt when it is stopped", async () => {
  async function* wait(_request: unknown, signal: AbortSignal) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    yield* [];
  }
  const { code, stdout, stderr } = await call(["ask", "fizz-top", "hi"], {
    service: { wait },
    stopAfterMs: 1,
  });
  assert.deepEqual([code, stdout], [130, ""]);
  assert.equal(
    stderr,
    "receipt r-1\nInterrupted: still waiting for fizz-top. " +
      "Wait again with: dev-sessions wait fizz-top --message r-1\n",
  );
});
