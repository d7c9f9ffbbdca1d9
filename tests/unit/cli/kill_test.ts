import type { KillResult } from "../../../lib/service.ts";
import { checkRows, refused } from "./harness.ts";

const killing = (result: KillResult) => ({ service: { kill: () => Promise.resolve(result) } });
const NAMED = { tree: false, everyone: false, caller: null };
const GROUP = { kind: "group", group: "api" } as const;
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
    request("ids, each once", ["fizz-top", "riven-jg", "fizz-top"], {
      ...NAMED,
      ids: ["fizz-top", "riven-jg"],
    }),
    request("a tree", ["--tree", "fizz-top"], { ...NAMED, ids: ["fizz-top"], tree: true }),
    request("all", ["--all"], { all: true, scope: "everyone", caller: null }),
    request("all, from inside", ["--all"], { all: true, scope: descendants, caller: "fizz-top" }, INSIDE),
    request(
      "all, from inside, really",
      ["--all", "--everyone"],
      { all: true, scope: "everyone", caller: "fizz-top" },
      INSIDE,
    ),
    request("minutes", ["--older-than", "30m"], { olderThanMs: 1_800_000, scope: "everyone", caller: null }),
    request("hours", ["--older-than=72h"], { olderThanMs: 259_200_000, scope: "everyone", caller: null }),
    request(
      "days, from inside",
      ["--older-than", "7d"],
      { olderThanMs: 604_800_000, scope: descendants, caller: "fizz-top" },
      INSIDE,
    ),
    request(
      "one by id, from inside",
      ["riven-jg"],
      { ...NAMED, ids: ["riven-jg"], caller: "fizz-top" },
      INSIDE,
    ),
    request(
      "one by id, from inside, whoever it is",
      ["riven-jg", "--everyone"],
      { ...NAMED, ids: ["riven-jg"], everyone: true, caller: "fizz-top" },
      INSIDE,
    ),
  ]);
});

Deno.test("kill of a group asks what it stands for, and says whom it left out", async (t) => {
  const expand = () =>
    Promise.resolve({ ids: ["riven-jg"], leftOut: [{ id: "fizz-top", why: "it runs this command" }] });
  const targets = [{ kind: "session", id: "vi-mid" } as const, GROUP];
  await checkRows(t, [
    {
      name: "from inside",
      argv: ["kill", "vi-mid", "@api"],
      given: { ...INSIDE, service: { expand } },
      asked: [{ expand: { targets, action: "kill", caller: "fizz-top" } }, {
        kill: { ...NAMED, ids: ["riven-jg"], caller: "fizz-top" },
      }],
      stdout: "Killed session riven-jg\nSession vi-mid had already ended\nKilled 1 session(s)\n",
      stderr: "Left out fizz-top: it runs this command\n",
    },
    {
      name: "with --everyone nobody is left out",
      argv: ["kill", "@api", "--tree", "--everyone"],
      given: INSIDE,
      asked: [{ expand: { targets: [GROUP], action: "kill tree", caller: null } }, {
        kill: { ids: ["fizz-top", "riven-jg"], tree: true, everyone: true, caller: "fizz-top" },
      }],
      stdout: "Killed session fizz-top\nKilled session riven-jg\nKilled 2 session(s)\n",
    },
    {
      name: "of which all have ended",
      argv: ["kill", "@api"],
      given: { service: { expand: () => Promise.resolve({ ids: [], leftOut: [] }) } },
      stdout: "No matching sessions to kill\n",
    },
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
      [["kill", "--tree"], one],
      [["kill", "--tree", "--all"], "--tree belongs to <id>"],
      [["kill", "@"], 'Invalid group: "@"'],
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
