import assert from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import { call, checkRows, refused, session } from "./harness.ts";

const REQUEST = { id: "fizz-top", readyTimeoutMs: 60_000, caller: null };

Deno.test("resume makes a request of its arguments", async (t) => {
  const request = (name: string, argv: string[], changes: object, env: Record<string, string> = {}) => ({
    name,
    argv: ["resume", "fizz-top", ...argv],
    given: { env },
    asked: [{ resume: { ...REQUEST, ...changes } }],
  });
  await checkRows(t, [
    request("an id", [], {}),
    request("a time limit", ["--ready-timeout", "0.5"], { readyTimeoutMs: 500 }),
    request("from inside a session", [], { caller: "riven-jg" }, { DEV_SESSIONS_ID: "riven-jg" }),
  ]);
});

Deno.test("resume refuses anything but one id", async (t) => {
  await checkRows(
    t,
    refused([
      [["resume"], "error: missing required argument 'id'"],
      [["resume", "Fizz"], 'Invalid session id: "Fizz"'],
      [
        ["resume", "fizz-top", "riven-jg"],
        "error: too many arguments for 'resume'. Expected 1 argument but got 2.",
      ],
      [
        ["resume", "fizz-top", "--ready-timeout", "0"],
        "--ready-timeout must be a positive number of seconds",
      ],
    ]),
  );
});

Deno.test("resume prints what it has resumed, or why it could not", async (t) => {
  const unproven = {
    service: { resume: () => Promise.resolve({ session: session(), readyProven: false }) },
  };
  const failing = {
    service: {
      resume: () =>
        Promise.reject(new AppError("failure", 'Cannot resume "fizz-top": it ended', "Its last screen:")),
    },
  };
  await checkRows(t, [
    { name: "text", argv: ["resume", "fizz-top"], stdout: "Resumed session fizz-top\n" },
    { name: "only the id", argv: ["resume", "fizz-top", "-q"], stdout: "fizz-top\n" },
    {
      name: "unproven",
      argv: ["resume", "fizz-top"],
      given: unproven,
      stdout: "Resumed session fizz-top\n",
      stderr: "[dev-sessions] fizz-top shows a quiet prompt, but nothing proves that it is ready\n",
    },
    {
      name: "an error with its detail",
      argv: ["resume", "fizz-top"],
      given: failing,
      code: 1,
      stdout: "",
      stderr: 'Cannot resume "fizz-top": it ended\n  Its last screen:\n',
    },
  ]);
  const record = JSON.parse((await call(["resume", "fizz-top", "--json"])).stdout);
  assert.deepEqual([record.id, record.status, record.ready], ["fizz-top", "active", "proven"]);
});

Deno.test("prune makes one selector of its arguments", async (t) => {
  const request = (name: string, argv: string[], selector: object) => ({
    name,
    argv: ["prune", ...argv],
    asked: [{ prune: selector }],
  });
  await checkRows(t, [
    request("nothing: 30 days", [], { olderThanMs: 2_592_000_000 }),
    request("an age", ["--older-than", "7d"], { olderThanMs: 604_800_000 }),
    request("ids, each once", ["fizz-top", "riven-jg", "fizz-top"], { ids: ["fizz-top", "riven-jg"] }),
    ...refused([
      [
        ["prune", "fizz-top", "--older-than", "7d"],
        "Provide either <id> or --older-than <duration>, not both",
      ],
      [["prune", "--older-than", "7"], "--older-than must be a duration like 30m, 72h, or 7d"],
      [["prune", "../x"], 'Invalid session id: "../x"'],
    ]),
  ]);
});

Deno.test("prune prints what it has forgotten, what stays of it, and what it could not forget", async (t) => {
  const failure = 'Cannot forget "riven-jg": it has not ended';
  const pruned = {
    forgotten: [{ id: "fizz-top", worktree: null }, { id: "zed-mid", worktree: "/src/app-zed-mid" }],
    failed: [{ id: "riven-jg", reason: failure }],
    keys: 3,
  };
  const given = { service: { prune: () => Promise.resolve(pruned) } };
  await checkRows(t, [
    { name: "nothing", argv: ["prune"], stdout: "No ended sessions to forget\n" },
    {
      name: "text",
      argv: ["prune"],
      given,
      code: 1,
      stdout: "Forgot session fizz-top\nForgot session zed-mid; its worktree stays: /src/app-zed-mid\n" +
        "Forgot 3 stored result(s) of --key\n",
      stderr: `${failure}\n`,
    },
    {
      name: "JSON",
      argv: ["prune", "--json"],
      given,
      code: 1,
      stdout: `${JSON.stringify(pruned, null, 2)}\n`,
      stderr: /"code":"failure"/,
    },
  ]);
});
