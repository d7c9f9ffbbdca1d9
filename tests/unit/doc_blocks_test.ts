/** The blocks of pages are found with what their markers say; output that differs in what it says does not pass. */

import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { consoleSteps, docBlocks, fits, normalised } from "../support/doc_blocks.ts";

const FENCE = "```";
const block = (kind: string, text: string) => `${FENCE}${kind}\n${text}${FENCE}\n`;

Deno.test("docBlocks() finds blocks with their lines, settings and what comes before", () => {
  const page = [
    "# Page\n\n",
    block("sh", "echo 1\n"),
    '\n<!-- run ids=a-top,b-mid code=5 in=~/x stop="is up" -->\n\n',
    block("sh", "echo 2\n"),
    "\n<!-- run agents=real order=any numbers=any\nsession c-jg\nworking c-jg\n-->\n\n",
    block("console", "$ dev-sessions create\nCreated session d-sup\n"),
    block("json", "{}\n"),
  ].join("");
  const found = docBlocks("p.md", page);
  deepStrictEqual(found.map(({ line, kind, ids, before }) => [line, kind, ids, before]), [
    [4, "sh", [], ""],
    [10, "sh", ["a-top", "b-mid"], ""],
    [19, "console", ["d-sup"], "session c-jg\nworking c-jg\n"],
  ]);
  const [, second, third] = found;
  deepStrictEqual([second?.code, second?.folder, second?.stop, second?.agents], [5, "~/x", "is up", "stub"]);
  deepStrictEqual([third?.agents, third?.anyOrder, third?.anyNumbers], ["real", true, true]);
});

Deno.test("docBlocks() refuses markers that would do nothing, and commands that would not be run", () => {
  for (
    const [page, why] of [
      ["<!-- run -->\n\nText\n", /1 marker\(s\) stand above no block/],
      [`<!-- run -->\n\n${block("json", "{}\n")}`, /a marker above a block of json/],
      [`<!-- run cod=5 -->\n\n${block("sh", "true\n")}`, /no setting "cod"/],
      [block("text", "$ dev-sessions list\n"), /commands in a block of text/],
      [block("", "dev-sessions list\n"), /commands in a block of no language/],
    ] as const
  ) throws(() => docBlocks("p.md", page), why);
});

Deno.test("consoleSteps() parts commands and what they print", () => {
  deepStrictEqual(consoleSteps("$ a \\\n  b\nout\n\nmore\n\n$ c\n"), [
    { command: "a \\\n  b", output: "out\n\nmore" },
    { command: "c", output: "" },
  ]);
  throws(() => consoleSteps("out\n$ a\n"), /begins with output/);
});

Deno.test("normalised() makes the same what differs from run to run, and nothing else", () => {
  const root = "/tmp/ds0123456789abcdef";
  strictEqual(
    normalised(`${root}/home/src 2026-11-22T11:54:03.941Z e1-a4af84b1-3 r-6a33882136d24943`, root),
    normalised("/home/ada/src 2025-01-01T00:00:00Z e1-00000000-3 r-0000000000000000", null),
  );
  for (
    const [one, other] of [["e1-a4af84b1-3", "e1-a4af84b1-4"], ["idle", "working"], ["a b", "ab"], ["1", "2"]]
  ) {
    ok(normalised(one!, null) !== normalised(other!, null), `${one} ${other}`);
  }
});

Deno.test("fits() takes ... for any lines and for any text in one, and else only what is shown", () => {
  for (
    const [shown, actual, expected] of [
      ["a\nb", "a\nb", true],
      ["a\nb", "a", false],
      ["a", "a\nb", false],
      ["", "", true],
      ["", "a", false],
      ["a", "", false],
      ["a\n...\nz", "a\nb\nc\nz", true],
      ["a\n...\nz", "a\nz", true],
      ["a\n...", "a", true],
      ["a\n...\nz", "a\nb", false],
      ["error: ...", "error: x", true],
      ["error: ...", "warning: x", false],
      ['{"a":1,...}', '{"a":1,"b":2}', true],
      ['{"a":1,...}', '{"a":2,"b":2}', false],
      ["a.c", "abc", false],
    ] as const
  ) strictEqual(fits(shown, actual), expected, `${shown} | ${actual}`);
});
