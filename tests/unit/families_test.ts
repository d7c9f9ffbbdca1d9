/** Who started whom, and what a session may start. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import {
  ancestorsOf,
  assertMayAnswer,
  assertMayInterrupt,
  assertMayKill,
  assertNoLaxer,
  descendsFrom,
  type Kin,
  layTree,
  parentOf,
} from "../../lib/families.ts";
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

/** `time` is when it was created. */
function kin(id: string, parent: string | null, time = 1): Kin {
  return { id, parent, createdAt: new Date(time).toISOString() };
}

Deno.test("parentOf() does not take a younger session of the same name for the parent", () => {
  const child = kin("child-mid", "root-top", 5);
  const known = (time: number) => () => kin("root-top", null, time);
  strictEqual(parentOf(child, known(4))?.id, "root-top");
  strictEqual(parentOf(child, known(5))?.id, "root-top");
  strictEqual(parentOf(child, known(6)), null);
  strictEqual(parentOf(child, () => null), null);
  strictEqual(descendsFrom(child, "root-top", known(6)), false);
  strictEqual(descendsFrom(child, "root-top", known(4)), true);
});

Deno.test("ancestorsOf() names the nearest first and ends in circles", () => {
  const names = (id: string) => ancestorsOf(find(id)!, find).map((one) => one.id);
  deepStrictEqual(names("grand-jg"), ["child-mid", "root-top"]);
  deepStrictEqual(names("orphan-top"), []);
  deepStrictEqual(names("loop-adc"), ["ring-sup"]);
});

Deno.test("assertMayKill() keeps an agent from ending itself and its ancestors", () => {
  const refused = (id: string) => {
    try {
      assertMayKill(id, find("grand-jg")!, find);
      return null;
    } catch (error) {
      strictEqual((error as AppError).code, "refused");
      return (error as AppError).message;
    }
  };
  const everyone = "If it must end all the same, add --everyone";
  deepStrictEqual(["grand-jg", "child-mid", "root-top", "orphan-top"].map(refused), [
    `Cannot kill "grand-jg": it is the session that runs this command. ${everyone}`,
    `Cannot kill "child-mid": it is an ancestor of "grand-jg", the session that runs this command. ${everyone}`,
    `Cannot kill "root-top": it is an ancestor of "grand-jg", the session that runs this command. ${everyone}`,
    null,
  ]);
});

Deno.test("layTree() puts children below their parents, and nothing out of the list", () => {
  const table: [name: string, items: Kin[], laid: string][] = [
    ["nothing", [], ""],
    ["no families", [kin("a", null), kin("b", null)], "a0 b0"],
    [
      "siblings by creation",
      [kin("a", null), kin("b", "a", 2), kin("c", null, 3), kin("d", "a", 4)],
      "a0 b1 d1 c0",
    ],
    [
      "three levels",
      [kin("a", null), kin("b", "a"), kin("x", null), kin("c", "b"), kin("d", "a")],
      "a0 b1 c2 d1 x0",
    ],
    ["a parent that is not in the list", [kin("b", "gone"), kin("c", "b")], "b0 c1"],
    ["a name that was given again", [kin("b", "a", 1), kin("a", null, 2)], "b0 a0"],
    ["its own parent", [kin("a", "a")], "a0"],
    ["a circle with a tail", [kin("x", null), kin("a", "b"), kin("b", "a"), kin("c", "b")], "x0 a0 b1 c2"],
  ];
  for (const [name, items, laid] of table) {
    const got = layTree(items, (item) => item).map(({ item, depth }) => `${item.id}${depth}`);
    strictEqual(got.join(" "), laid, name);
  }
  const deep = Array.from({ length: 20_000 }, (_, i) => kin(`s${i}`, i === 0 ? null : `s${i - 1}`, i));
  strictEqual(layTree(deep, (item) => item).at(-1)?.depth, 19_999);
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
