/** How many sessions may live, how deep families may grow, and which sessions an end for being idle spares. */

import { deepStrictEqual, doesNotThrow, rejects, strictEqual, throws } from "node:assert/strict";
import { Admission } from "../../lib/admission.ts";
import { AppError } from "../../lib/errors.ts";
import { mayBeIdle } from "../../lib/idle_end.ts";
import { assertDepth, assertRoom, depthOf, withAncestors } from "../../lib/limits.ts";
import { endedBefore } from "../../lib/pruning.ts";
import type { Session } from "../../lib/session.ts";

const PARENTS: Readonly<Record<string, string | null>> = {
  "root-top": null,
  "child-mid": "root-top",
  "grand-jg": "child-mid",
  "loop-adc": "ring-sup",
  "ring-sup": "loop-adc",
  "orphan-top": "gone-mid",
};
const FILE = "/home/u/.dev-sessions/config.json";

function find(id: string): Session | null {
  const parent = PARENTS[id];
  return parent === undefined ? null : { id, parent } as Session;
}

Deno.test("depthOf() counts the parents that are known, and ends in circles", () => {
  const table: [parent: string | null, depth: number][] = [
    [null, 0],
    ["root-top", 1],
    ["child-mid", 2],
    ["grand-jg", 3],
    ["gone-mid", 0],
    ["orphan-top", 1],
    ["loop-adc", 2],
  ];
  deepStrictEqual(table.map(([parent]) => [parent, depthOf(parent, find)]), table);
});

Deno.test("withAncestors() has the session itself and all above it", () => {
  deepStrictEqual([...withAncestors("grand-jg", find)], ["grand-jg", "child-mid", "root-top"]);
  deepStrictEqual([...withAncestors("loop-adc", find)], ["loop-adc", "ring-sup"]);
  deepStrictEqual([...withAncestors("orphan-top", find)], ["orphan-top", "gone-mid"]);
  deepStrictEqual([...withAncestors(null, find)], []);
});

Deno.test("the limits say what they are and how to raise them", () => {
  const limits = { maxSessions: 3, maxDepth: 2 };
  doesNotThrow(() => assertRoom(2, limits, "create a session", FILE));
  doesNotThrow(() => assertDepth(2, limits, "create a session", FILE));
  throws(() => assertRoom(3, limits, "create a session", FILE), {
    code: "refused",
    message:
      "Cannot create a session: 3 sessions are live, and the limit is 3. See them with: dev-sessions list. " +
      `End some with: dev-sessions kill <id>. Or raise the limit with "maxSessions" in ${FILE}`,
  });
  throws(() => assertDepth(3, limits, 'resume "fizz-top"', FILE), {
    code: "refused",
    message: 'Cannot resume "fizz-top": it would be 3 steps from the first session of its family, ' +
      `and the limit is 2. Raise it with "maxDepth" in ${FILE}`,
  });
});

Deno.test("Admission tries once more after it has looked for deaths, and no more", async () => {
  const applicant = {
    action: "create a session",
    parent: null,
    limits: { maxSessions: 1, maxDepth: 0 },
    configFile: FILE,
  };
  for (const [deaths, attempts] of [[1, 2], [0, 2]] as const) {
    let live = 1;
    let tries = 0;
    const admission = new Admission(applicant, {
      find: () => null,
      noticeDeaths: () => Promise.resolve(void (live -= deaths)),
    });
    const running = admission.run((admit) => {
      tries++;
      admit(live, () => 0);
      return Promise.resolve("in");
    });
    if (deaths === 1) strictEqual(await running, "in");
    else await rejects(running, { code: "refused" });
    strictEqual(tries, attempts);
  }
  const failing = new Admission(applicant, { find: () => null, noticeDeaths: () => Promise.reject() });
  await rejects(failing.run(() => Promise.reject(new AppError("failure", "other"))), { message: "other" });
  throws(
    () => new Admission({ ...applicant, parent: "root-top" }, { find, noticeDeaths: () => Promise.reject() }),
    { code: "refused" },
  );
});

Deno.test("mayBeIdle() spares what was used lately, the caller and its ancestors, and what can't be reached", () => {
  const old = {
    id: "fizz-top",
    handle: {},
    process: { pid: 1, start: "1", boot: "b", machine: "m" },
    lastUsedAt: "2026-01-01T00:00:00.000Z",
  };
  const at = Date.parse(old.lastUsedAt);
  strictEqual(mayBeIdle(old, at, new Set()), true);
  strictEqual(mayBeIdle(old, at - 1, new Set()), false);
  strictEqual(mayBeIdle(old, at, new Set(["fizz-top"])), false);
  strictEqual(mayBeIdle({ ...old, handle: null }, at, new Set()), false);
});

Deno.test("endedBefore() goes by the end, or by the last use where no end is known", () => {
  const [early, late] = ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"];
  const before = Date.parse("2026-01-15T00:00:00.000Z");
  const resumer = { pid: 1, start: "1", boot: "b", machine: "m" };
  strictEqual(endedBefore({ endedAt: early, lastUsedAt: late, resumer: null }, before), true);
  strictEqual(endedBefore({ endedAt: late, lastUsedAt: early, resumer: null }, before), false);
  strictEqual(endedBefore({ endedAt: null, lastUsedAt: early, resumer: null }, before), true);
  strictEqual(endedBefore({ endedAt: null, lastUsedAt: late, resumer: null }, before), false);
  strictEqual(endedBefore({ endedAt: early, lastUsedAt: early, resumer }, before), false);
});
