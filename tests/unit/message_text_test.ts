/** What becomes of a message's text before any agent sees it. */

import { ok, strictEqual, throws } from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import {
  decodeMessage,
  invalidUtf8Offset,
  MESSAGE_LIMIT_BYTES,
  normaliseMessage,
} from "../../lib/message_text.ts";

const usage = (part: string) => (error: unknown) =>
  error instanceof AppError && error.code === "usage" && error.message.includes(part);

Deno.test("normaliseMessage() gives the text as the agent is to receive it", () => {
  const table: [holds: string, text: string, normal: string][] = [
    ["plain", "hello", "hello"],
    ["CRLF", "a\r\nb\r\n", "a\nb"],
    ["CR", "a\rb\r\rc", "a\nb\n\nc"],
    ["tabs", "\ta\tb", "    a    b"],
    ["leading blanks stay", "  a", "  a"],
    ["trailing blanks and line feeds", "a \n\n\t ", "a"],
    ["byte order mark", "\ufeffa", "a"],
    ["colours", "\x1b[31mred\x1b[0m", "red"],
    ["colours with colons", "\x1b[38:2::1:2:3mx\x1b[m", "x"],
    ["cursor keys", "a\x1b[Ab\x1bOP", "abP"],
    ["end of a bracketed paste", "a\x1b[201~rm -rf /\n", "arm -rf /"],
    ["end of a bracketed paste, hidden in another", "\x1b[20\x1b[201~1~x", "201~x"],
    ["ESC ESC", "\x1b\x1b[201~x", "x"],
    ["ESC at the end", "a\x1b", "a"],
    ["title, ended by BEL", "\x1b]0;title\x07a", "a"],
    ["title, ended by ST", "\x1b]0;title\x1b\\a", "a"],
    ["link", "\x1b]8;;https://x\x1b\\a\x1b]8;;\x1b\\", "a"],
    ["device control string", "\x1bPq#0\x1b\\a", "a"],
    ["a title without an end costs no text", "see \x1b]0;broken\nthe rest", "see 0;broken\nthe rest"],
    ["a title without an end before a BEL far below", "\x1b]0;x\nthe rest\x07", "0;x\nthe rest"],
    ["ESC before a bracket that begins nothing", "a\x1b[\nb", "a\nb"],
    ["control characters", "a\x00b\x03c\x15d\x1ae\x7ff\x8dg", "abcdefg"],
    ["C1 sequence introducer", "a\x9b201~b", "a201~b"],
    ["vertical tab and form feed", "a\x0bb\x0cc", "abc"],
    ["wide, joined and composed characters", "漢 👩‍👧 e\u0301", "漢 👩‍👧 e\u0301"],
    ["invisible characters between visible ones", "a\u200bb", "a\u200bb"],
    ["half a surrogate pair", "a\ud800b", "a\ufffdb"],
    ["a command is not its business", "/compact", "/compact"],
  ];
  for (const [holds, text, normal] of table) strictEqual(normaliseMessage(text), normal, holds);
});

Deno.test("normaliseMessage() of a normal text is that text", () => {
  for (const text of ["a\n  b", "漢", "x".repeat(1000), "a\u200bb"]) {
    strictEqual(normaliseMessage(normaliseMessage(text)), normaliseMessage(text));
  }
});

Deno.test("normaliseMessage() refuses a text of which nothing is left", () => {
  for (
    const text of [
      "",
      " ",
      "\n\t\r\n",
      "\ufeff",
      "\x1b[31m\x1b[0m",
      "\x00\x03",
      "\u200b",
      " \u2060\n",
      "\u2800",
      "\u00a0",
    ]
  ) {
    throws(() => normaliseMessage(text), usage("Message is required"), JSON.stringify(text));
  }
});

Deno.test("normaliseMessage() has a limit in bytes of UTF-8", () => {
  strictEqual(normaliseMessage("x".repeat(MESSAGE_LIMIT_BYTES)).length, MESSAGE_LIMIT_BYTES);
  throws(() => normaliseMessage("x".repeat(MESSAGE_LIMIT_BYTES + 1)), usage("1048577 bytes"));
  throws(() => normaliseMessage("é".repeat(MESSAGE_LIMIT_BYTES / 2 + 1)), usage("1048578 bytes"));
});

Deno.test("normaliseMessage() takes no time worth a thought for a text that is made to be slow", () => {
  const texts = [
    `a${" ".repeat(MESSAGE_LIMIT_BYTES - 2)}b`,
    "\x1b]".repeat(MESSAGE_LIMIT_BYTES / 2 - 1) + "x",
    "\x1b[0".repeat(MESSAGE_LIMIT_BYTES / 3 - 1) + "x",
    `\x1b[${"0".repeat(MESSAGE_LIMIT_BYTES - 3)}`,
  ];
  for (const text of texts) {
    const begin = performance.now();
    normaliseMessage(text);
    ok(performance.now() - begin < 2_000, JSON.stringify(text.slice(0, 10)));
  }
});

Deno.test("decodeMessage() and invalidUtf8Offset() name the first byte of the first invalid sequence", () => {
  const table: [holds: string, bytes: number[], offset: number][] = [
    ["empty", [], -1],
    ["ASCII", [0x61, 0x62], -1],
    ["all lengths", [0x61, 0xc3, 0xa9, 0xe6, 0xbc, 0xa2, 0xf0, 0x9f, 0x98, 0x80], -1],
    ["byte order mark", [0xef, 0xbb, 0xbf, 0x61], -1],
    ["at the start", [0xff, 0x61], 0],
    ["a lone continuation at the start", [0x80], 0],
    ["in the middle", [0x61, 0x62, 0xff, 0x63], 2],
    ["at the end", [0x61, 0x62, 0xff], 2],
    ["Latin-1 before ASCII", [0x61, 0xe9, 0x20, 0x62], 1],
    ["Latin-1 at the end", [0x61, 0xe9], 1],
    ["a sequence of three broken off by ASCII", [0x61, 0xe6, 0xbc, 0x62], 1],
    ["a sequence of four cut at the end", [0x61, 0x62, 0xf0, 0x9f, 0x98], 2],
    ["a sequence of three cut at the end", [0xe6, 0xbc], 0],
    ["overlong", [0x61, 0xc0, 0xaf], 1],
    ["overlong of three", [0x61, 0xe0, 0x80, 0xaf], 1],
    ["a surrogate", [0x61, 0xed, 0xa0, 0x80], 1],
    ["beyond Unicode", [0x61, 0xf4, 0x90, 0x80, 0x80], 1],
    ["after a good one, a lone continuation", [0xc3, 0xa9, 0x80], 2],
    ["two invalid ones", [0x61, 0xff, 0x62, 0xff], 1],
    [
      "in the middle of 100,000",
      [...new Array(50_000).fill(0x61), 0xe9, ...new Array(49_999).fill(0x61)],
      50_000,
    ],
  ];
  for (const [holds, numbers, offset] of table) {
    const bytes = new Uint8Array(numbers);
    strictEqual(invalidUtf8Offset(bytes), offset, holds);
    if (offset === -1) strictEqual(decodeMessage(bytes, "stdin").length > 0, bytes.length > 0, holds);
    else {throws(
        () => decodeMessage(bytes, "stdin"),
        usage(`Cannot send stdin: it is not valid UTF-8 at byte ${offset}. `),
        holds,
      );}
  }
});

Deno.test("decodeMessage() has the limit, before it looks at what the bytes say", () => {
  throws(
    () => decodeMessage(new Uint8Array(MESSAGE_LIMIT_BYTES + 1).fill(0xff), "brief.md"),
    usage("1048577 bytes"),
  );
});
