import type { KillResult } from "../../../lib/service.ts";
import { checkRows, refused } from "./harness.ts";

const killing = (result: KillResult) => ({ service: { kill: () => Promise.resolve(result) } });
const INSIDE = { env: { DEV_SESSIONS_ID: "fizz-top" } };

Deno.test("kill makes one selector of its arguments", async (t) => {
  const request = (name: string, argv: string[], selector: object, given = {}) => ({
    name,
    argv: ["kill", ...argv],
    given,
    asked: [{ kill: selector }],
  });
  const descendants = { descendantsOf: "fizz-top" };
  await checkRows(t, [
    request("ids, each once", ["fizz-top", "riven-jg", "fizz-top"], { ids: ["fizz-top", "riven-jg"] }),
    request("all", ["--all"], { all: true, scope: "everyone" }),
    request("all, from inside", ["--all"], { all: true, scope: descendants }, INSIDE),
    request("all, from inside, really", ["--all", "--everyone"], { all: true, scope: "everyone" }, INSIDE),
    request("minutes", ["--older-than", "30m"], { olderThanMs: 1_800_000, scope: "everyone" }),
    request("hours", ["--older-than=72h"], { olderThanMs: 259_200_000, scope: "everyone" }),
    request(
      "days, from inside",
      ["--older-than", "7d"],
      { olderThanMs: 604_800_000, scope: descendants },
      INSIDE,
    ),
    request("one by id, from inside", ["riven-jg"], { ids: ["riven-jg"] }, INSIDE),
  ]);
});

Deno.test("kill refuses anything but one selector", async (t) => {
  const one = "Provide exactly one of <id>, --all, or --older-than <duration>";
  await checkRows(
    t,
    refused([
      [["kill"], one],
      [["kill", "--everyone"], one],
      [["kill", "fizz-top", "--all"], one],
      [["kill", "--all", "--older-than", "1h"], one],
      [["kill", "fizz-top", "--everyone"], "--everyone belongs to --all and --older-than"],
      [["kill", "Fizz"], 'Invalid session id: "Fizz"'],
      [["kill", "--older-than", "1w"], "--older-than must be a duration like 30m, 72h, or 7d"],
      [["kill", "--older-than", "toString"], "--older-than must be a duration like 30m, 72h, or 7d"],
      [["kill", "--older-than", "0h"], "--older-than must be a positive duration"],
      [["kill", "--older-than", "99999999999999999d"], "--older-than must be a positive duration"],
      [["kill", "--all"], 'DEV_SESSIONS_ID is not the id of a session: "no id"', {
        env: { DEV_SESSIONS_ID: "no id" },
      }],
    ]),
  );
});

Deno.test("kill says what it ended", async (t) => {
  const failed = [{ id: "riven-jg", reason: "tmux does not answer" }, {
    id: "vi-mid",
    reason: "it is unknown",
  }];
  await checkRows(t, [
    { name: "one", argv: ["kill", "fizz-top"], stdout: "Killed session fizz-top\n" },
    {
      name: "one that had ended",
      argv: ["kill", "fizz-top"],
      given: killing({ killed: [], failed: [] }),
      stdout: "Session fizz-top had already ended\n",
    },
    {
      name: "all",
      argv: ["kill", "--all"],
      given: killing({ killed: ["fizz-top", "riven-jg"], failed: [] }),
      stdout: "Killed session fizz-top\nKilled session riven-jg\nKilled 2 session(s)\n",
    },
    { name: "all of none", argv: ["kill", "--all"], stdout: "No matching sessions to kill\n" },
    {
      name: "some that can't be ended",
      argv: ["kill", "fizz-top", "riven-jg", "vi-mid"],
      given: killing({ killed: ["fizz-top"], failed }),
      code: 1,
      stdout: "Killed session fizz-top\n",
      stderr: "tmux does not answer\n  it is unknown\n",
    },
    {
      name: "none of all",
      argv: ["kill", "--all"],
      given: killing({ killed: [], failed: failed.slice(0, 1) }),
      code: 1,
      stdout: "",
      stderr: "tmux does not answer\n",
    },
    {
      name: "worktrees, removed and kept",
      argv: ["kill", "fizz-top", "riven-jg"],
      given: killing({
        killed: ["fizz-top", "riven-jg"],
        failed: [],
        worktrees: [
          { id: "fizz-top", path: "/src/app.worktrees/fizz-top", removed: true, reason: null, command: null },
          {
            id: "riven-jg",
            path: "/src/app.worktrees/riven-jg",
            removed: false,
            reason: "it has 1 ignored file (.env)",
            command: "git -C /src/app worktree remove --force /src/app.worktrees/riven-jg",
          },
        ],
      }),
      stdout:
        "Killed session fizz-top\nKilled session riven-jg\nRemoved worktree /src/app.worktrees/fizz-top\n",
      stderr:
        '[dev-sessions] kept the worktree of riven-jg at "/src/app.worktrees/riven-jg": it has 1 ignored file ' +
        "(.env). When nothing in it is needed: git -C /src/app worktree remove --force /src/app.worktrees/riven-jg\n",
    },
    {
      name: "JSON",
      argv: ["kill", "fizz-top", "riven-jg", "--json"],
      given: killing({ killed: ["fizz-top"], failed: [] }),
      stdout:
        '{\n  "killed": [\n    "fizz-top"\n  ],\n  "alreadyEnded": [\n    "riven-jg"\n  ],\n  "failed": [],\n  "worktrees": []\n}\n',
    },
  ]);
});
