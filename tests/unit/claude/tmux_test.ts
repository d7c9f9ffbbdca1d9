/** What tmux's answers mean and how its arguments are kept literal; texts of 3.1c, 3.3a, 3.5a and 3.8. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import {
  classifyFailure,
  escapeArgument,
  exactSession,
  parseMarkedPanes,
  sequence,
  Tmux,
  type TmuxResult,
} from "../../../backends/claude/tmux.ts";
import { AppError } from "../../../lib/errors.ts";
import type { Deps, RunResult } from "../../../lib/deps.ts";

Deno.test("classifyFailure() knows each text, and takes nothing else for a proof", () => {
  const table: [stderr: string, reason: string][] = [
    ["error connecting to /tmp/tmux-0/default (No such file or directory)", "no_server"],
    ["no server running on /tmp/tmux-0/default", "no_server"],
    ["can't find session: x", "no_target"],
    ["can't find pane: %9", "no_target"],
    ["can't find window: x", "no_target"],
    ["no current target", "no_target"],
    ["duplicate session: dev-fizz-top", "duplicate"],
    ["server exited unexpectedly", "server_exited"],
    ["lost server", "server_exited"],
    ["error connecting to /tmp/x (Permission denied)", "other"],
    ["error connecting to /tmp/x (Connection refused)", "other"],
    ["error connecting to /tmp/x (File name too long)", "other"],
    ["error creating /tmp/x (No such file or directory)", "other"],
    ["couldn't create directory /tmp/x (Permission denied)", "other"],
    ["directory /tmp/x has unsafe permissions", "other"],
    ["no buffer x", "other"],
    ["unknown command: x", "other"],
    ["command too long", "other"],
    ["bad session name: x.y", "other"],
    ["", "other"],
    ["a user's wrapper says: no server running on /tmp/x", "other"],
  ];
  for (const [stderr, reason] of table) {
    strictEqual(classifyFailure(stderr), reason, stderr);
    strictEqual(classifyFailure(`${stderr}\n`), reason, `${stderr} with its line feed`);
  }
  strictEqual(
    classifyFailure("warning: x\nno server running on /tmp/x\n"),
    "no_server",
    "after another line",
  );
});

Deno.test("escapeArgument() keeps a trailing semicolon from ending the command", () => {
  const table: [argument: string, escaped: string][] = [
    ["x", "x"],
    ["", ""],
    [";", "\\;"],
    ["x;", "x\\;"],
    ["x;;", "x;\\;"],
    ["x\\;", "x\\\\;"],
    [";x", ";x"],
    ["a;b", "a;b"],
    ["x; ", "x; "],
  ];
  for (const [argument, escaped] of table) strictEqual(escapeArgument(argument), escaped);
});

Deno.test("sequence() joins commands with bare semicolons and nothing else", () => {
  deepStrictEqual(sequence(["a", "b;"], ["c"], ["d", ";"]), ["a", "b\\;", ";", "c", ";", "d", "\\;"]);
  deepStrictEqual(sequence(["a"]), ["a"]);
  deepStrictEqual(sequence(), []);
});

Deno.test("exactSession() never means a session whose name only starts so", () => {
  strictEqual(exactSession("dev-fizz-top"), "=dev-fizz-top");
});

Deno.test("parseMarkedPanes() has the first pane of each token, and no one else's", () => {
  const stdout = [
    "\tmain\t%0\t0\t10\t1\t\t\t",
    "tok1\tdev-a\t%1\t0\t11\t1\t\t\t/home/u/.dev-sessions",
    "tok1\tdev-a\t%7\t0\t17\t1\t\t\t/home/u/.dev-sessions",
    "tok2\tdev-b\t%2\t1\t12\t0\t3\t\t",
    "tok3\tdev-c\t%3\t1\t13\t0\t\t9\t",
    "tok4\tdev-d\t%4\t1\t14\t0\t\t\t",
    "tok5\tdev-e\t%5\t0\t15\t2\t\t",
    "tok6",
    "",
  ].join("\n");
  deepStrictEqual(
    [...parseMarkedPanes(stdout)].map(([token, pane]) => [token, pane.session, pane.pane, pane.pid]),
    [
      ["tok1", "dev-a", "%1", 11],
      ["tok2", "dev-b", "%2", 12],
      ["tok3", "dev-c", "%3", 13],
      ["tok4", "dev-d", "%4", 14],
      ["tok5", "dev-e", "%5", 15],
    ],
  );
  const panes = parseMarkedPanes(stdout);
  const of = (token: string) => {
    const { dead, attached, end, registry } = panes.get(token)!;
    return { dead, attached, end, registry };
  };
  deepStrictEqual(of("tok1"), { dead: false, attached: true, end: null, registry: "/home/u/.dev-sessions" });
  deepStrictEqual(of("tok2"), { dead: true, attached: false, end: "exit 3", registry: null });
  deepStrictEqual(of("tok3"), { dead: true, attached: false, end: "signal 9", registry: null });
  deepStrictEqual(
    of("tok4"),
    { dead: true, attached: false, end: null, registry: null },
    "tmux does not know yet",
  );
  deepStrictEqual(
    of("tok5"),
    { dead: false, attached: true, end: null, registry: null },
    "two clients, 3.1c",
  );
  deepStrictEqual([...panes].map(([, { shared }]) => shared), [true, false, false, false, false]);
  const deadBeside = "tok\tdev-a\t%1\t1\t11\t0\t3\t\t\ntok\tdev-a\t%2\t1\t12\t0\t0\t\t";
  strictEqual(parseMarkedPanes(deadBeside).get("tok")?.shared, false);
  strictEqual(parseMarkedPanes("").size, 0);
});

function tmuxThat(...results: RunResult[]): { tmux: Tmux; calls: string[][] } {
  const calls: string[][] = [];
  const deps = {
    env: { TMUX: "/outer,1,0", TMUX_PANE: "%1", HOME: "/h" },
    clock: { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() },
    run: (command: string, args: readonly string[], options: { env: Record<string, string> }) => {
      calls.push([command, ...args, ...Object.keys(options.env)]);
      return Promise.resolve(results.length > 1 ? results.shift()! : results[0]!);
    },
  } as unknown as Deps;
  return { tmux: new Tmux(deps, "/s"), calls };
}

const exited = (code: number, stdout = "", stderr = ""): RunResult => ({
  kind: "exited",
  code,
  stdout,
  stderr,
});

Deno.test("Tmux.run() says what is proven and what is not", async () => {
  const table: [result: RunResult, expected: TmuxResult][] = [
    [exited(0, "x\n"), { kind: "ok", stdout: "x\n" }],
    [{ kind: "timed_out" }, { kind: "unresponsive" }],
    [exited(1, "", "can't find pane: %1\n"), {
      kind: "failed",
      reason: "no_target",
      message: "can't find pane: %1",
    }],
    [exited(1), { kind: "failed", reason: "other", message: "tmux exited with 1" }],
  ];
  for (const [result, expected] of table) deepStrictEqual(await tmuxThat(result).tmux.run(["x"]), expected);
  const { tmux, calls } = tmuxThat(exited(0));
  await tmux.run(["list-panes"]);
  deepStrictEqual(calls, [["tmux", "-u", "-S", "/s", "list-panes", "HOME"]], "its own socket, no outer pane");
});

Deno.test("Tmux.run() says how to install tmux where there is none", async () => {
  const error = await tmuxThat({ kind: "not_found" }).tmux.run(["x"]).catch((error) => error);
  strictEqual(error instanceof AppError && error.code, "failure");
});

Deno.test("Tmux.killMarked() ends the session with the token, and calls nothing gone that may be there", async () => {
  const list = exited(0, "tok\tdev-a\t%1\t0\t11\t0\t\t\t\n");
  const table: [holds: string, results: RunResult[], expected: "gone" | "unknown", killed: boolean][] = [
    ["there", [list, exited(0)], "gone", true],
    ["not there", [exited(0, "other\tdev-b\t%1\t0\t11\t0\t\t\t\n")], "gone", false],
    ["no server", [exited(1, "", "no server running on /s")], "gone", false],
    ["no answer", [{ kind: "timed_out" }], "unknown", false],
    ["not ours to ask", [exited(1, "", "error connecting to /s (Permission denied)")], "unknown", false],
    ["gone meanwhile", [list, exited(1, "", "can't find session: dev-a")], "gone", true],
    ["no answer to the kill", [list, { kind: "timed_out" }], "unknown", true],
    ["the kill refused", [list, exited(1, "", "who knows")], "unknown", true],
  ];
  for (const [holds, results, expected, killed] of table) {
    const { tmux, calls } = tmuxThat(...results);
    strictEqual(await tmux.killMarked("tok"), expected, holds);
    strictEqual(calls.some((call) => call.includes("kill-session")), killed, holds);
    if (killed) strictEqual(calls.at(-1)!.includes("=dev-a"), true, holds);
  }
});
