/** What another version may have stored as an anchor is none, and never an error. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { anchorOf } from "../../../backends/claude/evidence.ts";

const ANCHOR = { event: null, transcript: "/c/projects/-p/a.jsonl", offset: 7, at: 1, text: "2:abc" };

Deno.test("anchorOf() takes an anchor as it is, with what a newer version has added", () => {
  deepStrictEqual(anchorOf(ANCHOR), ANCHOR);
  deepStrictEqual(anchorOf({ ...ANCHOR, event: "1-1.Stop.json", later: true }), {
    ...ANCHOR,
    event: "1-1.Stop.json",
    later: true,
  });
});

Deno.test("anchorOf() is null for none and for what it does not understand", () => {
  const strange = [null, undefined, 1, "x", [], {}, { ...ANCHOR, offset: -1 }, { ...ANCHOR, offset: 0.5 }, {
    ...ANCHOR,
    transcript: null,
  }, { ...ANCHOR, text: undefined }];
  for (const stored of strange) strictEqual(anchorOf(stored), null, JSON.stringify(stored));
});
