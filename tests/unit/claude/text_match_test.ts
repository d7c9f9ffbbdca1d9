/** Whether a text in Claude's records is the message that was sent. */

import { notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { canonical, textKey, textKeyOf } from "../../../backends/claude/text_match.ts";
import { mark } from "../../support/claude_evidence.ts";
import { randomText, seededRandom } from "../../support/random_text.ts";

Deno.test("textKey() is the same for what Claude may make of a message", () => {
  const table: [holds: string, sent: string, recorded: string][] = [
    ["normal form", "cafe\u0301", "caf\u00e9"],
    ["normal form across what Claude drops", "cafe\u200b\u0301", "caf\u00e9"],
    ["zero-width space", "a\u200bb", "ab"],
    ["soft hyphen", "a\u00adb", "ab"],
    ["word joiner", "a\u2060b", "ab"],
    ["byte order mark", "\ufeffa", "a"],
    ["variation selector", "❤\ufe0f", "❤"],
    ["joiner of an emoji", "👩‍👧", "👩👧"],
    ["bidirectional control", "a\u202eb", "ab"],
    ["line separator", "a\u2028b", "a\nb"],
    ["guard of a command", "/compact", "\u2800/compact"],
    ["guard of bash mode", "!ls", " !ls"],
    ["blank of a trailing backslash", "a\\", "a\\ "],
    ["trailing line feeds", "a\n\n", "a"],
    ["leading line feeds", "\n\na", "a"],
  ];
  for (const [holds, sent, recorded] of table) strictEqual(textKey(sent), textKey(recorded), holds);
});

Deno.test("textKey() differs where the message does", () => {
  const table: [string, string][] = [
    ["a", "b"],
    ["a", "A"],
    ["a b", "ab"],
    ["a  b", "a b"],
    ["a\nb", "a b"],
    ["ab", "ba"],
    ["a", "aa"],
    ["", "a"],
    ["a\u2800", "a"],
    ["ﬁ", "fi"],
  ];
  for (const [one, other] of table) {
    notStrictEqual(textKey(one), textKey(other), JSON.stringify([one, other]));
  }
});

Deno.test("textKey() tells 20,000 similar messages apart", () => {
  const keys = new Set(Array.from({ length: 20_000 }, (_, index) => textKey(`task ${index}`)));
  strictEqual(keys.size, 20_000);
});

Deno.test("canonical() of a canonical text is that text", () => {
  const random = seededRandom(11);
  for (let round = 0; round < 500; round++) {
    const text = canonical(randomText(random, 30));
    strictEqual(canonical(text), text, JSON.stringify(text));
  }
});

Deno.test("canonical() of a megabyte of blanks takes no time worth a thought", () => {
  const begin = performance.now();
  canonical(`a${" ".repeat(1_000_000)}b`);
  ok(performance.now() - begin < 2_000);
});

Deno.test("textKeyOf() is that of the marks that carry a message", () => {
  const key = textKey("go");
  strictEqual(textKeyOf(mark.prompt(1, "go")), key);
  strictEqual(textKeyOf(mark.enqueued(1, "go")), key);
  strictEqual(textKeyOf(mark.absorbed(1, "go")), key);
  strictEqual(textKeyOf(mark.removed(1, "go", "popAll")), key);
  strictEqual(textKeyOf({ kind: "removed", at: 1, text: null, reason: null }), null);
  for (const other of [mark.text(1, "go"), mark.dequeued(1), mark.end(1), mark.notice(1, "go")]) {
    strictEqual(textKeyOf(other), null, other.kind);
  }
});
