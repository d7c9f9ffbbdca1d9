/** What is typed for a message: guarded, in small pastes, in one command file that tmux reads back as it was meant. */

import { ok, strictEqual } from "node:assert/strict";
import { chunk, deliveryScript, guardText, tmuxQuote } from "../../../backends/claude/delivery_plan.ts";
import { textKey } from "../../../backends/claude/text_match.ts";
import { randomText, seededRandom } from "../../support/random_text.ts";

Deno.test("guardText() keeps Claude from acting on a message", () => {
  const table: [holds: string, text: string, typed: string][] = [
    ["plain", "fix it", "fix it "],
    ["bash mode", "!ls", " !ls "],
    ["bash mode behind a blank is none", " !ls", " !ls "],
    ["bash mode behind what Claude drops", "\u200b!ls", " !ls "],
    ["a command", "/compact", "\u2800/compact "],
    ["a command with arguments", "/review x", "\u2800/review x "],
    ["a command with a line below", "/review\nx", "\u2800/review\nx "],
    ["a known command behind a blank", " /compact", "\u2800 /compact "],
    ["a known command behind a line feed", "\n/compact", "\u2800\n/compact "],
    ["a command behind what Claude drops", "\u200b/compact", "\u2800/compact "],
    ["a command behind a blank and what Claude drops", " \u200b/compact", "\u2800 \u200b/compact "],
    ["a command with what Claude drops in it", "/com\u200bpact", "\u2800/com\u200bpact "],
    ["a lone slash", "/", "\u2800/ "],
    ["a path", "/tmp/x is full", "/tmp/x is full "],
    ["a slash later", "see /compact", "see /compact "],
    ["a trailing backslash", "a\\", "a\\ "],
    ["a word that ends Claude", "exit", "\u2800exit "],
    ["a word that ends Claude, with blanks", " quit\n", "\u2800 quit\n "],
    ["an editor's word", ":wq!", "\u2800:wq! "],
    ["a word that ends Claude once the invisible is dropped", "ex\u200bit", "\u2800ex\u200bit "],
    ["a word that ends Claude and more", "exit now", "exit now "],
    ["a short code at the end", "well done :tada", "well done :tada "],
    ["line separators", "a\u2028b\u2029c", "a\nb\nc "],
    ["bidirectional controls", "a\u202eb\u2066c\u061cd", "abcd "],
    ["joined emoji", "👩‍👧 ok", "👩‍👧 ok "],
    ["leading blanks", "    code", "    code "],
  ];
  for (const [holds, text, typed] of table) {
    strictEqual(guardText(text), typed, holds);
    strictEqual(textKey(typed), textKey(text), `${holds}: the record of it is recognised`);
  }
});

Deno.test("chunk() gives pieces that are the text, none long, none with a split character", () => {
  const random = seededRandom(20_260_102);
  const texts = [
    "",
    "x",
    "\n",
    "\n\n\n\n\n\n",
    "x".repeat(599),
    "x".repeat(600),
    "x".repeat(601),
    "x".repeat(599) + "😀",
    "😀".repeat(1_000),
    "a\nb\nc\nd",
    "\u{10ffff}\n".repeat(300),
    ...Array.from({ length: 400 }, () => randomText(random, Math.floor(random() * 4_000))),
  ];
  for (const text of texts) {
    const pieces = chunk(text);
    strictEqual(pieces.join(""), text);
    for (const piece of pieces) {
      const shown = JSON.stringify(piece);
      ok(piece.length > 0 && piece.length <= 600, shown);
      ok(piece.split("\n").length - 1 <= 2, shown);
      ok(piece.isWellFormed(), shown);
    }
  }
});

Deno.test("chunk() makes no more pieces than it must", () => {
  strictEqual(chunk("x".repeat(1_200)).length, 2);
  strictEqual(chunk("a\nb\nc").length, 1);
  strictEqual(chunk("a\nb\nc\nd").length, 2);
});

/** What tmux's parser makes of the quoted word: single and double quotes, backslash outside of single ones. */
function unquote(word: string): string {
  return word.replace(
    /'([^']*)'|"\\n"|\\(.)/g,
    (all, single, escaped) => all === '"\\n"' ? "\n" : single ?? escaped,
  );
}

Deno.test("tmuxQuote() makes one word on one line of any text", () => {
  const random = seededRandom(7);
  const texts = [
    "",
    "'",
    "''",
    '"',
    "\\",
    "a;",
    ";",
    "#{pane_id}",
    "$HOME ~ `x` %if {",
    "'\n'",
    "\n\n",
    "# comment",
    ...Array.from({ length: 400 }, () => randomText(random, 60)),
  ];
  for (const text of texts) {
    const quoted = tmuxQuote(text);
    ok(!quoted.includes("\n"), JSON.stringify(text));
    strictEqual(unquote(quoted), text);
  }
});

Deno.test("deliveryScript() leaves copy mode, pastes the pieces in order and presses Enter once, at the end", () => {
  const text = Array.from({ length: 7 }, (_, line) => `it's line ${line};`).join("\n");
  const { script, pastes } = deliveryScript("%3", text, "b");
  const lines = script.trimEnd().split("\n");
  strictEqual(lines[0], "if-shell -F -t %3 '#{pane_in_mode}' 'send-keys -t %3 -X cancel'");
  strictEqual(lines.at(-1), "send-keys -t %3 Enter");
  strictEqual(lines.filter((line) => line.includes(" Enter")).length, 1);
  strictEqual(lines.length, 2 + pastes * 2);
  ok(script.endsWith("\n"));
  const pieces: string[] = [];
  for (let index = 0; index < pastes; index++) {
    const prefix = `set-buffer -b b-${index} -- `;
    ok(lines[1 + index * 2]!.startsWith(prefix));
    pieces.push(unquote(lines[1 + index * 2]!.slice(prefix.length)));
    strictEqual(lines[2 + index * 2], `paste-buffer -p -r -d -b b-${index} -t %3`);
  }
  strictEqual(pieces.join(""), guardText(text));
});
