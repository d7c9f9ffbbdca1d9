/** Who started whom, and what a session may start. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { assertMayAnswer, assertMayInterrupt, assertNoLaxer, descendsFrom } from "../../lib/families.ts";
import { type Mode, MODES, type Session } from "../../lib/session.ts";

const PARENTS: Readonly<Record<string, string | null>> = {
  "root-top": null,
  "child-mid": "root-top",
  "grand-jg": "child-mid",
  "loop-adc": "ring-sup",
  "ring-sup": "loop-adc",
  "orphan-top": "gone-mid",
};

function find(id: string): Session | null {
  const parent = PARENTS[id];
  return parent === undefined ? null : { id, parent } as Session;
}

Deno.test("descendsFrom() follows parents, however far, and ends at unknown ones and in circles", () => {
  const table: [id: string, ancestor: string, descends: boolean][] = [
    ["child-mid", "root-top", true],
    ["grand-jg", "root-top", true],
    ["root-top", "grand-jg", false],
    ["root-top", "root-top", false],
    ["loop-adc", "root-top", false],
    ["loop-adc", "ring-sup", true],
    ["orphan-top", "gone-mid", true],
    ["orphan-top", "root-top", false],
  ];
  for (const [id, ancestor, descends] of table) {
    strictEqual(descendsFrom(find(id)!, ancestor, find), descends, `${id} from ${ancestor}`);
  }
});

Deno.test("assertMayAnswer() keeps an agent from approving its own requests and those of its ancestors", () => {
  const table: [target: string, caller: string | null, allowed: boolean][] = [
    ["root-top", null, true],
    ["root-top", "root-top", false],
    ["root-top", "grand-jg", false],
    ["grand-jg", "root-top", true],
    ["orphan-top", "root-top", true],
    ["root-top", "unknown-mid", true],
  ];
  for (const [target, caller, allowed] of table) {
    if (allowed) assertMayAnswer(target, caller, find);
    else throws(() => assertMayAnswer(target, caller, find), { code: "refused" }, `${caller} to ${target}`);
  }
});

Deno.test("assertNoLaxer() lets an agent start others of its own mode or a stricter one only", () => {
  const allowed = (mode: Mode, parent: Mode) => {
    try {
      assertNoLaxer(mode, { id: "fizz-top", mode: parent });
      return true;
    } catch (error) {
      strictEqual((error as AppError).code, "refused");
      return false;
    }
  };
  const table = MODES.map((parent) => [parent, MODES.filter((mode) => allowed(mode, parent))]);
  deepStrictEqual(table, [
    ["yolo", ["yolo", "native", "docker"]],
    ["native", ["native", "docker"]],
    ["docker", ["docker"]],
  ]);
  throws(() => assertNoLaxer("yolo", { id: "fizz-top", mode: "native" }), /"fizz-top".*Use --mode native/);
});

Deno.test("assertMayInterrupt() keeps an agent from itself and from those it descends from", () => {
  const code = (target: string, sender: string | null) => {
    try {
      assertMayInterrupt(target, sender, find);
      return "allowed";
    } catch (error) {
      return error instanceof AppError ? error.code : error;
    }
  };
  strictEqual(code("root-top", null), "allowed");
  strictEqual(code("root-top", "root-top"), "usage");
  strictEqual(code("root-top", "grand-jg"), "refused");
  strictEqual(code("child-mid", "grand-jg"), "refused");
  strictEqual(code("grand-jg", "root-top"), "allowed");
  strictEqual(code("orphan-top", "grand-jg"), "allowed");
  strictEqual(code("root-top", "not-known"), "allowed");
});
