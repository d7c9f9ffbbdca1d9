import assert from "node:assert/strict";
import { forTerminal, oneLine, printError, printResult, table } from "../../lib/cli/output.ts";
import { AppError } from "../../lib/errors.ts";
import type { Terminal } from "../../lib/deps.ts";

function recorder(isTerminal: boolean) {
  const written = { out: "", err: "" };
  const terminal: Terminal = {
    stdinIsTerminal: () => isTerminal,
    stdoutIsTerminal: () => isTerminal,
    stderrIsTerminal: () => isTerminal,
    readStdin: () => Promise.resolve(new Uint8Array()),
    writeOut: (text) => void (written.out += text),
    writeErr: (text) => void (written.err += text),
  };
  return { terminal, written };
}

const TEXT = { json: false, debug: false };
const JSON_OUTPUT = { json: true, debug: false };

Deno.test("forTerminal() leaves text and removes what steers a terminal", async (t) => {
  const cases: [name: string, given: string, expected: string][] = [
    ["plain text", "a\tb\nc – ü 漢字 🎉", "a\tb\nc – ü 漢字 🎉"],
    ["colours", "\x1b[1;31mred\x1b[0m", "red"],
    ["cursor and screen", "\x1b[2J\x1b[H\x1b[?1049hx", "x"],
    ["a title ended by BEL", "\x1b]0;owned\x07x", "x"],
    ["a link ended by ST", "\x1b]8;;http://e\x1b\\here\x1b]8;;\x1b\\", "here"],
    ["the clipboard", "\x1b]52;c;ZXZpbA==\x07x", "x"],
    ["an unterminated title keeps its letters", "\x1b]0;abc", "0;abc"],
    ["a device control string", "\x1bPq#0\x1b\\x", "x"],
    ["an application command", "\x1b_Gf=100;AAAA\x1b\\x", "x"],
    ["8-bit CSI and OSC", "\x9b31mred\x9d0;t\x9cx", "redx"],
    ["a charset switch", "\x1b(0x", "x"],
    ["a lone escape", "a\x1b", "a"],
    ["carriage return and backspace", "safe\rrm\b\b", "saferm"],
    ["bell, NUL, DEL", "a\x07b\x00c\x7fd", "abcd"],
    ["overrides of direction", "a\u202Eb\u2066c", "abc"],
    ["what a removal puts together", "\x1b\x1b[31m[31mx", "[31mx"],
  ];
  for (const [name, given, expected] of cases) {
    await t.step(name, () => assert.equal(forTerminal(given), expected));
  }
});

Deno.test("forTerminal() takes linear time on hostile text", () => {
  for (const piece of ["\x1b]", "\x1b[", "\x1bP", "\x9d", "\x1b"]) {
    const start = performance.now();
    forTerminal(piece.repeat(200_000));
    assert.ok(performance.now() - start < 1000, JSON.stringify(piece));
  }
});

Deno.test("oneLine() collapses white space and removes control sequences", () => {
  assert.equal(oneLine(" a\r\n\n b\t\x1b[31mc "), "a b c");
});

Deno.test("table() pads every cell, the last one too, under a line of dashes", () => {
  const text = table(["ID", "WHAT"], [["fizz-top", "a\nb"], ["x", ""]]);
  assert.equal(text, "ID        WHAT\n--------  ----\nfizz-top  a b \nx             ");
});

Deno.test("printResult() strips control sequences for a terminal only", async (t) => {
  for (const [isTerminal, expected] of [[true, "red\n"], [false, "\x1b[31mred\x1b[0m\n"]] as const) {
    await t.step(`terminal: ${isTerminal}`, () => {
      const { terminal, written } = recorder(isTerminal);
      printResult(terminal, { text: "\x1b[31mred\x1b[0m" }, TEXT);
      assert.deepEqual(written, { out: expected, err: "" });
    });
  }
});

Deno.test("printResult() prints a result once, notes and failures on stderr", async (t) => {
  const failure = new AppError("agent_gone", "Gone", "first\n\nsecond");
  const cases = [
    ["text", { text: "x", json: { a: 1 } }, TEXT, "x\n", ""],
    ["an empty text", { text: "" }, TEXT, "\n", ""],
    ["no text", { text: null, json: { a: 1 } }, TEXT, "", ""],
    ["notes", { notes: ["n"], text: "x" }, TEXT, "x\n", "n\n"],
    ["indented JSON", { text: "x", json: { a: 1 } }, JSON_OUTPUT, '{\n  "a": 1\n}\n', ""],
    ["compact JSON", { json: ["a", "b"], layout: "compact" }, JSON_OUTPUT, '["a","b"]\n', ""],
    ["an empty array", { json: [] }, JSON_OUTPUT, "[]\n", ""],
    ["null is JSON", { json: null }, JSON_OUTPUT, "null\n", ""],
    ["no JSON", { text: "x" }, JSON_OUTPUT, "", ""],
    ["a failure", { text: "x", failure }, TEXT, "x\n", "Gone\n  first\n\n  second\n"],
    [
      "a failure as JSON",
      { failure },
      JSON_OUTPUT,
      "",
      '{"error":{"code":"agent_gone","message":"Gone","exitCode":7,"detail":"first\\n\\nsecond"}}\n',
    ],
  ] as const;
  for (const [name, result, options, out, err] of cases) {
    await t.step(name, () => {
      const { terminal, written } = recorder(false);
      printResult(terminal, result, options);
      assert.deepEqual(written, { out, err });
    });
  }
});

Deno.test("printError() shows no stack of an unexpected error unless asked to", async (t) => {
  const cases: [name: string, error: unknown, expected: string][] = [
    [
      "an error",
      new TypeError("x is not\na function"),
      "dev-sessions failed unexpectedly: x is not a function. Please run again with DEV_SESSIONS_DEBUG=1 to see where\n",
    ],
    [
      "a string",
      "boom!",
      "dev-sessions failed unexpectedly: boom! Please run again with DEV_SESSIONS_DEBUG=1 to see where\n",
    ],
    [
      "nothing",
      undefined,
      "dev-sessions failed unexpectedly: undefined. Please run again with DEV_SESSIONS_DEBUG=1 to see where\n",
    ],
  ];
  for (const [name, error, expected] of cases) {
    await t.step(name, () => {
      const { terminal, written } = recorder(false);
      assert.equal(printError(terminal, error, TEXT), 1);
      assert.equal(written.err, expected);
    });
  }
  await t.step("with DEV_SESSIONS_DEBUG=1", () => {
    const { terminal, written } = recorder(false);
    printError(terminal, new TypeError("x"), { json: false, debug: true });
    assert.match(written.err, /^dev-sessions failed unexpectedly: x\.\n {2}TypeError: x\n {6}at /);
  });
});
