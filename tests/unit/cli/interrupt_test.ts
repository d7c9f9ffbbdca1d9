import assert from "node:assert/strict";
import { AppError, EXIT_CODES } from "../../../lib/errors.ts";
import type { Interruption } from "../../../lib/session.ts";
import { call, checkRows, PERMISSION, refused } from "./harness.ts";

const BASE: Interruption = {
  result: "interrupted",
  stopped: ["do it"],
  queued: [],
  background: [],
  reason: null,
  evidence: "transcript: interrupt line",
  pending: null,
};

function answering(given: Partial<Interruption>) {
  return {
    service: {
      interrupt: (request: { id: string }) => Promise.resolve({ id: request.id, ...BASE, ...given }),
    },
  };
}

Deno.test("interrupt makes a request of its arguments", async (t) => {
  const request = { id: "fizz-top", allQueued: false, sender: null };
  await checkRows(t, [
    { name: "plain", argv: ["interrupt", "fizz-top"], asked: [{ interrupt: request }] },
    {
      name: "--all-queued",
      argv: ["interrupt", "fizz-top", "--all-queued"],
      asked: [{ interrupt: { ...request, allQueued: true } }],
    },
    {
      name: "from inside a session",
      argv: ["interrupt", "fizz-top"],
      given: { env: { DEV_SESSIONS_ID: "riven-jg" } },
      asked: [{ interrupt: { ...request, sender: "riven-jg" } }],
    },
    ...refused([
      [["interrupt"], "error: missing required argument 'id'"],
      [["interrupt", "Fizz Top"], 'Invalid session id: "Fizz Top"'],
      [["interrupt", "fizz-top"], 'Cannot interrupt "fizz-top": it is the session that runs this command', {
        env: { DEV_SESSIONS_ID: "fizz-top" },
      }],
    ]),
  ]);
});

Deno.test("interrupt says what was stopped, what waits and what goes on", async (t) => {
  const row = (name: string, given: Partial<Interruption>, code: number, stdout: string, stderr = "") => ({
    name,
    argv: ["interrupt", "fizz-top"],
    given: answering(given),
    code,
    stdout,
    stderr,
  });
  const none = { stopped: [], evidence: null };
  await checkRows(t, [
    row("one turn", {}, 0, "Interrupted fizz-top\n"),
    row(
      "several, with what is behind them",
      {
        stopped: ["a", "b"],
        queued: ["c\x1b[2J"],
        background: [{ id: "t", type: "shell", description: "npm run dev" }],
        reason: "nothing had been answered",
      },
      0,
      "Interrupted fizz-top: 2 turns\n  nothing had been answered\n  queued behind it: c\n  still runs: shell npm run dev\n",
    ),
    {
      ...row(
        "what --all-queued could not stop",
        { stopped: ["a"], queued: ["b"] },
        0,
        "Interrupted fizz-top\n  was queued, and not stopped: b\n",
      ),
      argv: ["interrupt", "fizz-top", "--all-queued"],
    },
    row("at rest", { ...none, result: "not_running" }, 0, "Nothing to interrupt: no turn of fizz-top runs\n"),
    row(
      "ended by itself",
      { ...none, result: "ended_by_itself", reason: "the turn came to its own end" },
      0,
      "Nothing was interrupted: the turn of fizz-top ended by itself\n",
    ),
    row(
      "waits for a permission",
      { ...none, result: "refused", reason: "it waits", pending: PERMISSION },
      5,
      "",
      'Cannot interrupt "fizz-top": it waits for a permission (Bash: rm -rf dist). ' +
        "Answer it with: dev-sessions respond fizz-top --approve\n  approve\n  deny\n",
    ),
    row(
      "refused",
      { ...none, result: "refused", reason: "tmux does not answer" },
      4,
      "",
      'Cannot interrupt "fizz-top": tmux does not answer. Nothing was pressed\n',
    ),
    row(
      "unproven after one turn",
      { result: "unproven", reason: "no record said what came of it" },
      9,
      "Interrupted fizz-top: 1 turn(s)\n",
      'Cannot interrupt "fizz-top": it may have stopped, but nothing proves it: no record said what came of it. ' +
        "Look with: dev-sessions status fizz-top --explain\n",
    ),
  ]);
});

Deno.test("interrupt --json counts the turns that were stopped", async () => {
  const { code, stdout, stderr } = await call(
    ["interrupt", "fizz-top", "--json"],
    answering({ queued: ["c"] }),
  );
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(JSON.parse(stdout), {
    id: "fizz-top",
    result: "interrupted",
    interrupted: 1,
    stopped: ["do it"],
    queued: ["c"],
    background: [],
    reason: null,
    evidence: "transcript: interrupt line",
  });
});

Deno.test("interrupt @group --json prints one line per session, also of one with which it goes wrong", async () => {
  const { code, stdout } = await call(["interrupt", "@api", "--json"], {
    service: {
      expand: () => Promise.resolve({ ids: ["fizz-top", "riven-jg"], leftOut: [] }),
      interrupt: ({ id }) =>
        id === "fizz-top"
          ? Promise.reject(new AppError("agent_gone", "It is gone"))
          : Promise.resolve({ id, ...BASE }),
    },
  });
  assert.equal(code, EXIT_CODES.agent_gone);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const results = lines.map(({ id, result, error }) => [id, result, error ?? null]);
  assert.deepEqual(results.sort(), [["fizz-top", null, "agent_gone"], ["riven-jg", "interrupted", null]]);
});
