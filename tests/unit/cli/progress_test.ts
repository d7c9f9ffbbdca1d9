import assert from "node:assert/strict";
import { type Doing, duration, fitted, progressLine } from "../../../lib/cli/progress.ts";
import { clearProgress, printError, printResult } from "../../../lib/cli/output.ts";
import type { Terminal } from "../../../lib/deps.ts";
import { AppError } from "../../../lib/errors.ts";
import type { TurnState } from "../../../lib/session.ts";
import { IDLE, PERMISSION } from "./harness.ts";

const NOW = Date.parse("2026-01-02T03:05:24.900Z");
const SINCE = "2026-01-02T03:04:04.000Z";

Deno.test("progressLine() says who works since when, and what is waited for", async (t) => {
  const base = { ...IDLE, since: SINCE };
  const working: TurnState = { ...base, state: "working" };
  const waiting = (summary: string): TurnState => ({
    ...base,
    state: "waiting_for_input",
    others: [],
    pending: { ...PERMISSION, summary },
  });
  const rows: [name: string, doings: readonly [string, TurnState][], line: string][] = [
    ["nobody", [], ""],
    ["one at work", [["fizz-top", working]], "fizz-top working 1m 20s"],
    ["at work since who knows when", [["fizz-top", { ...working, since: null }]], "fizz-top working"],
    ["at work since no time", [["fizz-top", { ...working, since: "?" }]], "fizz-top working"],
    ["idle", [["fizz-top", base]], "fizz-top idle"],
    ["unknown", [["fizz-top", { ...base, state: "unknown", reason: "?" }]], "fizz-top unknown"],
    [
      "two",
      [["fizz-top", working], ["riven-jg", waiting("Bash: rm -rf dist")]],
      "fizz-top working 1m 20s · riven-jg waiting for a permission (Bash: rm -rf dist)",
    ],
    [
      "nothing steers the terminal",
      [["riven-jg", waiting("Bash: a\r\n\x1b[2Jb\x07\u202e")]],
      "riven-jg waiting for a permission (Bash: a b)",
    ],
  ];
  for (const [name, doings, line] of rows) {
    await t.step(name, () => {
      const given: Doing[] = doings.map(([id, state]) => ({ id, state }));
      assert.equal(progressLine(given, NOW, 200), line);
      assert.ok(progressLine(given, NOW, 20).length < 20);
    });
  }
});

Deno.test("duration() is short", () => {
  const rows: [number, string][] = [
    [-5, "0s"],
    [999, "0s"],
    [59_999, "59s"],
    [60_000, "1m 0s"],
    [3_599_000, "59m 59s"],
    [3_600_000, "1h 00m"],
    [363_900_000, "101h 05m"],
  ];
  for (const [ms, text] of rows) assert.equal(duration(ms), text);
});

Deno.test("fitted() cuts to cells, wide characters counted as two", () => {
  const rows: [string, number, string][] = [
    ["abc", 3, "abc"],
    ["abcd", 3, "ab…"],
    ["abcd", 1, "…"],
    ["abcd", 0, ""],
    ["漢字", 4, "漢字"],
    ["漢字", 3, "漢…"],
    ["a🎉b", 3, "a…"],
    ["ab\ncd", 9, "ab cd"],
  ];
  for (const [text, cells, expected] of rows) assert.equal(fitted(text, cells), expected, `${text} ${cells}`);
});

function recorder(stderrIsTerminal: boolean) {
  const written = { out: "", err: "" };
  const terminal: Terminal = {
    stdinIsTerminal: () => false,
    stdoutIsTerminal: () => false,
    stderrIsTerminal: () => stderrIsTerminal,
    readStdin: () => Promise.resolve(new Uint8Array()),
    writeOut: (text) => void (written.out += text),
    writeErr: (text) => void (written.err += text),
  };
  return { terminal, written };
}

const OPTIONS = { json: false, debug: false };
const ERASE = "\r\x1b[2K";

Deno.test("a progress line overwrites itself and is gone before anything else is printed", () => {
  const { terminal, written } = recorder(true);
  printResult(terminal, { progress: "a" }, OPTIONS);
  printResult(terminal, { progress: "b\x1b[31m" }, OPTIONS);
  printResult(terminal, { text: "result" }, OPTIONS);
  printResult(terminal, { text: "another" }, OPTIONS);
  printResult(terminal, { progress: "c" }, OPTIONS);
  printError(terminal, new AppError("failure", "No"), OPTIONS);
  clearProgress(terminal);
  assert.deepEqual(written, {
    out: "result\nanother\n",
    err: `${ERASE}a${ERASE}b${ERASE}${ERASE}c${ERASE}No\n`,
  });
});

Deno.test("no progress line where stderr is no terminal", () => {
  const { terminal, written } = recorder(false);
  printResult(terminal, { progress: "a" }, OPTIONS);
  printResult(terminal, { text: "result" }, OPTIONS);
  clearProgress(terminal);
  assert.deepEqual(written, { out: "result\n", err: "" });
});
