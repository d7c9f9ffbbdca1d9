/** In a folder that is gone, what needs no relative path works, and the rest says what to do. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import { call } from "./harness.ts";

const GONE = "The folder is gone";
const cwd = () => {
  throw new AppError("failure", GONE);
};

Deno.test("a command asks for the current folder only where a path is relative", async (t) => {
  const rows: [needsIt: boolean, argv: string[], env?: Record<string, string>][] = [
    [false, ["--version"]],
    [false, ["list"]],
    [false, ["send", "fizz-top", "hello"]],
    [false, ["send", "fizz-top", "-f", import.meta.filename ?? ""]],
    [false, ["wait", "fizz-top"]],
    [false, ["kill", "fizz-top"]],
    [false, ["create", "-p", "/src/other"]],
    [false, ["create"], { DEV_SESSIONS_SANDBOX: "1", HOST_PATH: "/x" }],
    [true, ["create"]],
    [true, ["create", "-p", "../other"]],
    [true, ["send", "fizz-top", "-f", "brief.md"]],
    [true, ["last-message", "fizz-top", "--output", "reply.md"]],
    [true, ["gateway", "--socket-dir", "sockets"]],
    [true, ["gateway", "token", "create", "--root", "."]],
    [true, ["install-skill", "--local", "--claude"]],
    [true, ["install-skill", "--codex"], { CODEX_HOME: "codex" }],
  ];
  for (const [needsIt, argv, env = {}] of rows) {
    await t.step(`${needsIt ? "needs it" : "does not"}: ${argv.join(" ")}`, async () => {
      const { code, stderr } = await call(argv, { cwd, env });
      if (needsIt) deepStrictEqual([code, stderr], [1, `${GONE}\n`]);
      else strictEqual(code, 0, stderr);
    });
  }
});
