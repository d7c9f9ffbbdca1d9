import assert from "node:assert/strict";
import { EXIT_CODES } from "../../../lib/errors.ts";
import type { WaitOutcome } from "../../../lib/session.ts";
import type { WaitRequest } from "../../../lib/service.ts";
import { worse } from "../../../lib/cli/app.ts";
import { call, checkRows, outcome, PERMISSION, refused } from "./harness.ts";

const REQUEST = {
  ids: ["fizz-top"],
  any: false,
  timeoutMs: 300_000,
  pollMs: null,
  receipt: null,
  background: false,
};
const yielding = (...given: [string, WaitOutcome][]) => ({
  service: {
    async *wait() {
      for (const [id, one] of given) yield outcome(id, one);
    },
  },
});

Deno.test("wait makes a request of its arguments", async (t) => {
  const request = (name: string, argv: string[], changes: object) => ({
    name,
    argv: ["wait", ...argv],
    asked: [{ wait: { ...REQUEST, ...changes } }],
  });
  await checkRows(t, [
    request("one id", ["fizz-top"], {}),
    request("several ids, each once", ["fizz-top", "riven-jg", "fizz-top"], {
      ids: ["fizz-top", "riven-jg"],
    }),
    request("any of one", ["--any", "fizz-top"], { any: true }),
    request("all said", ["fizz-top", "--all"], {}),
    request("a fraction of a second", ["fizz-top", "-t", ".5"], { timeoutMs: 500 }),
    request("a timeout attached", ["fizz-top", "-t60"], { timeoutMs: 60_000 }),
    request("interval, receipt, background", ["fizz-top", "-i", "0.2", "--message", "r-9", "--background"], {
      pollMs: 200,
      receipt: "r-9",
      background: true,
    }),
  ]);
});

Deno.test("wait takes groups, and prints a line per session for a group of one, too", async (t) => {
  const expand = () => Promise.resolve({ ids: ["vi-mid"], leftOut: [{ id: "fizz-top", why: "it waits" }] });
  const group = { kind: "group", group: "api" };
  await checkRows(t, [
    {
      name: "a group",
      argv: ["wait", "@api", "--any"],
      given: { service: { expand }, env: { DEV_SESSIONS_ID: "fizz-top" } },
      asked: [{ expand: { targets: [group], action: "wait", caller: "fizz-top" } }, {
        wait: { ...REQUEST, ids: ["vi-mid"], any: true },
      }],
      stdout: "vi-mid\tcompleted\n",
      stderr: "Left out fizz-top: it waits\n",
    },
    {
      name: "ids and groups",
      argv: ["wait", "vi-mid", "@api", "@web"],
      stdout: "vi-mid\tcompleted\nfizz-top\tcompleted\nriven-jg\tcompleted\nfizz-top\tcompleted\n" +
        "riven-jg\tcompleted\n",
    },
  ]);
});

Deno.test("wait refuses what can't end", async (t) => {
  await checkRows(
    t,
    refused([
      [["wait"], "error: missing required argument 'id'"],
      [["wait", "fizz-top", "-t", "0"], "--timeout must be a positive integer"],
      [["wait", "fizz-top", "-t", "1e3"], "--timeout must be a positive integer"],
      [["wait", "fizz-top", "--timeout=-1"], "--timeout must be a positive integer"],
      [["wait", "fizz-top", "-t", "9".repeat(400)], "--timeout must be a positive integer"],
      [["wait", "fizz-top", "-i", "0"], "--interval must be a positive number"],
      [
        ["wait", "fizz-top", "riven-jg", "--message", "r"],
        "--message names the delivery to one session: provide exactly one <id>",
      ],
      [
        ["wait", "@api", "--message", "r"],
        "--message names the delivery to one session: provide exactly one <id>",
      ],
      [["wait", "@api/x"], 'Invalid group: "@api/x"'],
      [["wait", "fizz-top", "--any", "--all"], "Use only one of --any, --all"],
      [["wait", "fizz-top", "Riven"], 'Invalid session id: "Riven"'],
      [
        ["wait", "riven-jg", "fizz-top"],
        'Cannot wait for "fizz-top": it is the session that runs this command',
        {
          env: { DEV_SESSIONS_ID: "fizz-top" },
        },
      ],
    ]),
  );
});

Deno.test("wait prints one word for one id", async (t) => {
  const result = (given: WaitOutcome, code: number, stderr: string) => ({
    name: given.outcome,
    argv: ["wait", "fizz-top"],
    given: yielding(["fizz-top", given]),
    code,
    stdout: `${given.outcome}\n`,
    stderr,
  });
  await checkRows(t, [
    result({ outcome: "completed" }, 0, ""),
    result({ outcome: "idle" }, 0, ""),
    result({ outcome: "failed", error: "overloaded" }, 6, 'The turn of "fizz-top" failed: overloaded\n'),
    result({ outcome: "interrupted" }, 6, 'The turn of "fizz-top" was interrupted\n'),
    result(
      { outcome: "gone", reason: "signal 9" },
      7,
      'The agent of "fizz-top" is gone: signal 9. Bring it back with: dev-sessions resume fizz-top\n',
    ),
    result({ outcome: "timed_out", state: "working" }, 124, "Timed out waiting for fizz-top\n"),
    result(
      {
        outcome: "waiting_for_input",
        pending: {
          ...PERMISSION,
          kind: "dialog",
          summary: "Which\none?",
          options: [],
          answerable: "terminal",
        },
        others: [],
      },
      5,
      '"fizz-top" waits for the answer to a dialog (Which one?)\n  Answer it with: dev-sessions attach fizz-top\n',
    ),
  ]);
});

Deno.test("wait prints a line per id for several, and the worst counts", async (t) => {
  const argv = ["wait", "fizz-top", "riven-jg"];
  await checkRows(t, [
    {
      name: "as they become known",
      argv,
      given: yielding(["riven-jg", { outcome: "completed" }], ["fizz-top", { outcome: "idle" }]),
      stdout: "riven-jg\tcompleted\nfizz-top\tidle\n",
    },
    {
      name: "one timed out, one failed",
      argv,
      given: yielding(["riven-jg", { outcome: "interrupted" }], ["fizz-top", {
        outcome: "timed_out",
        state: "working",
      }]),
      code: 6,
      stdout: "riven-jg\tinterrupted\nfizz-top\ttimed_out\n",
      stderr: 'The turn of "riven-jg" was interrupted\nTimed out waiting for fizz-top\n',
    },
    {
      name: "any of several",
      argv: [...argv, "--any"],
      given: yielding(["riven-jg", { outcome: "completed" }]),
      stdout: "riven-jg\tcompleted\n",
    },
    {
      name: "JSON, one object per line",
      argv: [...argv, "--json"],
      given: yielding(["riven-jg", { outcome: "completed" }], ["fizz-top", {
        outcome: "gone",
        reason: "exit 1",
      }]),
      code: 7,
      stdout:
        '{"id":"riven-jg","outcome":"completed"}\n{"id":"fizz-top","outcome":"gone","reason":"exit 1"}\n',
      stderr:
        '{"error":{"code":"agent_gone","message":"The agent of \\"fizz-top\\" is gone: exit 1. Bring it back with: dev-sessions resume fizz-top","exitCode":7,"detail":null}}\n',
    },
  ]);
});

Deno.test("worse() ranks every code", () => {
  const ranked = [9, 130, 1, 2, 255, 8, 7, 3, 6, 5, 4, 124, 0];
  assert.deepEqual(ranked.toSorted(), [0, ...Object.values(EXIT_CODES)].toSorted());
  for (const [index, code] of ranked.entries()) {
    for (const other of ranked.slice(index)) {
      assert.equal(worse(code, other), code);
      assert.equal(worse(other, code), code);
    }
  }
});

Deno.test("wait says what it knew when it is stopped", async (t) => {
  for (const ending of ["returns", "throws"]) {
    await t.step(`the service ${ending}`, async () => {
      async function* wait(_request: WaitRequest, signal: AbortSignal) {
        yield outcome("riven-jg", { outcome: "completed" });
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        if (ending === "throws") throw signal.reason;
      }
      const argv = ["wait", "fizz-top", "riven-jg", "vi-mid"];
      const { code, stdout, stderr } = await call(argv, { service: { wait }, stopAfterMs: 1 });
      assert.deepEqual([code, stdout], [130, "riven-jg\tcompleted\n"]);
      assert.equal(stderr, "Interrupted: still waiting for fizz-top, vi-mid; done: riven-jg (completed)\n");
    });
  }
});

Deno.test("wait fails when an outcome is missing", async () => {
  const { code, stderr } = await call(["wait", "fizz-top"], yielding());
  assert.equal(code, 1);
  assert.match(stderr, /the wait ended without an outcome: still waiting for fizz-top; done: none/);
});

Deno.test("wait ends quietly with what it knew when its reader is gone", async () => {
  const given = yielding(["fizz-top", { outcome: "idle" }], ["riven-jg", { outcome: "interrupted" }], [
    "vi-mid",
    { outcome: "gone", reason: "x" },
  ]);
  const { code, stderr, closed } = await call(["wait", "fizz-top", "riven-jg", "vi-mid"], {
    ...given,
    pipeBreaksAfter: 1,
  });
  assert.deepEqual([code, stderr, closed], [6, "", 1]);
});
