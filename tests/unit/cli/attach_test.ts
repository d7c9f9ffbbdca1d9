import assert from "node:assert/strict";
import { call, checkRows } from "./harness.ts";

Deno.test("attach gives the terminal to the session's own command", async () => {
  const { code, ran, stdout, stderr } = await call(["attach", "fizz-top"], {
    terminals: ["stdin", "stdout"],
  });
  assert.deepEqual(ran, [["tmux", "attach", "-t", "dev-fizz-top"]]);
  assert.deepEqual([code, stdout, stderr], [0, "", ""]);
});

Deno.test("attach takes a group of one", async () => {
  const { code, ran } = await call(["attach", "@api"], {
    terminals: ["stdin", "stdout"],
    service: { expand: () => Promise.resolve({ ids: ["vi-mid"], leftOut: [] }) },
  });
  assert.deepEqual([code, ran], [0, [["tmux", "attach", "-t", "dev-vi-mid"]]]);
});

Deno.test("attach fails with the reason", async (t) => {
  await checkRows(t, [
    {
      name: "stdin is no terminal",
      argv: ["attach", "fizz-top"],
      code: 2,
      asked: [],
      stderr: 'Cannot attach to "fizz-top": attach needs a terminal, and stdin is none\n' +
        "  Without a terminal, read it with: dev-sessions logs fizz-top\n",
    },
    {
      name: "stdout is no terminal",
      argv: ["attach", "fizz-top"],
      given: { terminals: ["stdin"] },
      code: 2,
      asked: [],
      stderr: /^Cannot attach to "fizz-top": attach needs a terminal, and stdout is none\n/,
    },
    {
      name: "a group of several",
      argv: ["attach", "@api"],
      given: { terminals: ["stdin", "stdout"] },
      code: 2,
      stderr: 'Cannot attach to "@api": it has 2 live sessions. Name one: fizz-top, riven-jg\n',
    },
    {
      name: "the command fails",
      argv: ["attach", "fizz-top"],
      given: { terminals: ["stdin", "stdout"], attachExit: 1 },
      code: 1,
      stderr: 'Cannot attach to "fizz-top": tmux ended with exit code 1\n',
    },
    {
      name: "the command is not there",
      argv: ["attach", "fizz-top"],
      given: { terminals: ["stdin", "stdout"], attachExit: null },
      code: 1,
      stderr: 'Cannot attach to "fizz-top": tmux is not installed\n',
    },
  ]);
});
