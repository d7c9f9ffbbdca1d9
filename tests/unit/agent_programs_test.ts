/** The version of an installed agent is what its program says of itself, and unknown when it does not say. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { CLAUDE_PROGRAM } from "../../backends/claude/program.ts";
import { CODEX_PROGRAM } from "../../backends/codex/program.ts";
import { type AgentProgram, installedAgent } from "../../backends/program.ts";
import type { RunResult } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import { realDeps } from "../../lib/real_deps.ts";

Deno.test("versionIn() finds the version in what each program prints", () => {
  const table: [program: AgentProgram, stdout: string, version: string | null][] = [
    [CLAUDE_PROGRAM, "2.1.330 (Claude Code)\n", "2.1.330"],
    [CLAUDE_PROGRAM, "3.0.0-beta.1 (Claude Code)\n", "3.0.0-beta.1"],
    [CLAUDE_PROGRAM, "claude 2\n", null],
    [CLAUDE_PROGRAM, "", null],
    [CODEX_PROGRAM, "codex-cli 0.169.0\n", "0.169.0"],
    [CODEX_PROGRAM, "WARNING: something\ncodex-cli 0.170.0-alpha.2\n", "0.170.0-alpha.2"],
    [CODEX_PROGRAM, "0.169.0\n", null],
  ];
  for (const [program, stdout, version] of table) strictEqual(program.versionIn(stdout), version, stdout);
});

Deno.test("installedAgent() tells an absent program from one that does not say its version", async () => {
  const exited = (code: number, stdout: string): RunResult => ({ kind: "exited", code, stdout, stderr: "" });
  const table: [said: RunResult | Error, version: string | null][] = [
    [exited(0, "2.1.330 (Claude Code)\n"), "2.1.330"],
    [exited(1, "2.1.330 (Claude Code)\n"), null],
    [exited(0, "Segmentation fault"), null],
    [{ kind: "timed_out" }, null],
    [{ kind: "not_found" }, null],
    [new Deno.errors.PermissionDenied("not executable here"), null],
  ];
  const there: AgentProgram = { ...CLAUDE_PROGRAM, locate: () => "/opt/claude" };
  for (const [said, version] of table) {
    const run = () => said instanceof Error ? Promise.reject(said) : Promise.resolve(said);
    deepStrictEqual(await installedAgent(there, { ...realDeps(), run }), { path: "/opt/claude", version });
  }
  const absent: AgentProgram = {
    ...CLAUDE_PROGRAM,
    locate: () => {
      throw new AppError("failure", "not found");
    },
  };
  strictEqual(await installedAgent(absent, realDeps()), null);
});
