/** Every value of every operation crosses the wire unchanged; what is hostile, wrong or newer is told apart. */

import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { AppError, EXIT_CODES } from "../../lib/errors.ts";
import { decodeRequest, decodeResult, isOperation, type Operation, OPERATIONS } from "../../lib/wire.ts";
import { decodeError, encodeError } from "../../lib/wire/errors.ts";
import { judgePeer, mismatchError, type Peer } from "../../lib/wire/handshake.ts";
import { REQUESTS, RESULTS } from "../support/wire_values.ts";

const NAMES = Object.keys(OPERATIONS) as Operation[];
const PEERS = {
  us: { protocol: 1, version: "0.5.0" },
  them: { protocol: 1, version: "0.5.0" },
  where: "build.example",
};

const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

Deno.test("requests and results of every operation cross the wire unchanged, and what is newer in them is left out", async (t) => {
  for (const name of NAMES) {
    await t.step(name, () => {
      ok(REQUESTS[name].length > 0 && RESULTS[name].length > 0);
      for (const request of REQUESTS[name]) {
        deepStrictEqual(decodeRequest(name, sent(request)), request);
        deepStrictEqual(
          decodeRequest(name, { ...sent(request) as object, fromTheFuture: { a: 1 } }),
          request,
        );
      }
      for (const result of RESULTS[name]) {
        deepStrictEqual(decodeResult(name, sent(result), PEERS), result);
        if (Array.isArray(result)) continue;
        const newer = { ...sent(result) as object, fromTheFuture: true };
        deepStrictEqual(decodeResult(name, newer, PEERS), result);
      }
    });
  }
});

Deno.test("what has a usual value may be left out of a request", () => {
  deepStrictEqual(decodeRequest("create", { path: "/src/app" }), REQUESTS.create[0]);
  deepStrictEqual(decodeRequest("send", { id: "fizz-top", text: "do it" }), REQUESTS.send[0]);
  deepStrictEqual(decodeRequest("wait", { ids: [] }), REQUESTS.wait[1]);
  deepStrictEqual(decodeRequest("list", {}), { all: false, group: null });
});

const ID = /must be the id of a session/;
const PATH = /path: must be an absolute path/;
const HOSTILE: readonly (readonly [Operation, unknown, RegExp])[] = [
  ["status", null, /expected Object, got null/],
  ["status", [], /id: expected/],
  ["status", "fizz-top", /expected Object, got a string/],
  ["status", {}, /id: expected "id", got nothing/],
  ["status", { id: "--all" }, ID],
  ["status", { id: "@api" }, ID],
  ["status", { id: "../fizz-top" }, ID],
  ["status", { id: "fizz-top\n" }, ID],
  ["status", { id: "fizz-top\0" }, ID],
  ["status", { id: "" }, ID],
  ["status", { id: "a".repeat(65) }, ID],
  ["status", { id: ["fizz-top"] }, /id: expected string, got an array/],
  ["status", { id: { toString: "fizz-top" } }, /id: expected string, got an object/],
  ["status", { id: "fizz-top", explain: "yes" }, /explain: expected \(?boolean/],
  ["wait", { ids: ["fizz-top", "--all"] }, /ids\.1: must be the id/],
  ["wait", { ids: "fizz-top" }, /ids: expected Array, got a string/],
  ["wait", { ids: [], timeoutMs: -1 }, /timeoutMs/],
  ["wait", { ids: [], timeoutMs: Infinity }, /timeoutMs/],
  ["wait", { ids: [], timeoutMs: "300" }, /timeoutMs/],
  ["wait", { ids: Array(10_001).fill("fizz-top") }, /ids/],
  ["create", {}, /path: expected/],
  ["create", { path: "src/app" }, PATH],
  ["create", { path: "" }, PATH],
  ["create", { path: "/src/../etc" }, PATH],
  ["create", { path: "/src/./app" }, PATH],
  ["create", { path: "/src//app" }, PATH],
  ["create", { path: "/src\0" }, PATH],
  ["create", { path: `/${"a".repeat(5_000)}` }, /path/],
  ["create", { path: "/src", agent: "rm" }, /agent/],
  ["create", { path: "/src", mode: "sudo" }, /mode/],
  ["create", { path: "/src", sandbox: null }, /sandbox/],
  ["create", { path: "/src", group: "@api" }, /group: must be 1 to 64 letters/],
  ["create", { path: "/src", group: "a/b" }, /group: must be 1 to 64 letters/],
  ["create", { path: "/src", model: "a\0b" }, /model: must not hold a NUL/],
  ["create", { path: "/src", model: "  " }, /model: must not be empty/],
  ["create", { path: "/src", agentArgs: ["a\0"] }, /agentArgs\.0: must not hold a NUL/],
  ["create", { path: "/src", agentArgs: "--x" }, /agentArgs/],
  [
    "create",
    { path: "/src", worktree: { branch: "--force" } },
    /worktree\.branch: must not start with a dash/,
  ],
  ["create", { path: "/src", id: "--all" }, ID],
  ["create", { path: "/src", parent: "--all" }, ID],
  ["create", { path: "/src", key: "k".repeat(201) }, /key/],
  ["create", { path: "/src", readyTimeoutMs: 0 }, /readyTimeoutMs: must be more than 0/],
  ["create", { path: "/src", readyTimeoutMs: 1e300 }, /readyTimeoutMs/],
  ["send", { id: "fizz-top", text: 1 }, /text: expected string, got a number/],
  ["send", { id: "fizz-top", text: "x", mode: "shout" }, /mode/],
  ["send", { id: "fizz-top", text: "x", sender: "--all" }, ID],
  ["send", { id: "fizz-top", text: "x", render: { vars: { a: 1 } } }, /render\.vars\.a/],
  ["lastMessages", { id: "fizz-top", count: 0 }, /count/],
  ["lastMessages", { id: "fizz-top", count: 1.5 }, /count/],
  ["lastMessages", { id: "fizz-top", count: 2 ** 60 }, /count/],
  ["events", { since: "e1-5f0c2a91-42" }, /since: must be null, "now" or a cursor/],
  ["events", { since: { log: "../../x", seq: 1 } }, /since/],
  ["events", { since: { log: "5f0c2a91", seq: -1 } }, /since/],
  ["events", { ids: ["--all"] }, ID],
  ["list", { group: "--all " }, /group/],
  ["kill", {}, /must have exactly one of ids, all, olderThanMs/],
  ["kill", null, /must have exactly one of/],
  ["kill", { ids: ["fizz-top"], all: true, scope: "everyone" }, /must have exactly one of/],
  ["kill", { ids: ["--all"] }, /ids\.0: must be the id/],
  ["kill", { all: true }, /scope: (must be "everyone"|expected)/],
  ["kill", { all: false, scope: "everyone" }, /all/],
  ["kill", { all: true, scope: "nobody" }, /scope: must be "everyone"/],
  ["kill", { olderThanMs: 0, scope: "everyone" }, /olderThanMs: must be more than 0/],
  ["prune", {}, /must have exactly one of ids, olderThanMs/],
  ["prune", { ids: ["a"], olderThanMs: 1 }, /must have exactly one of/],
  ["respond", { id: "fizz-top" }, /answer/],
  ["respond", { id: "fizz-top", answer: { kind: "sudo" } }, /answer\.kind/],
  ["respond", { id: "fizz-top", answer: { kind: "options", options: [1] } }, /answer\.options\.0/],
  ["goal", { id: "fizz-top", change: { kind: "begin", objective: "x", tokenBudget: 0 } }, /tokenBudget/],
  ["expand", { targets: [{ kind: "session", id: "--all" }], action: "read" }, ID],
  ["expand", { targets: [{ kind: "group", group: "--all" }], action: "rm" }, /action/],
  ["expand", { targets: [{ kind: "planet" }], action: "read" }, /targets\.0\.kind/],
];

Deno.test("a hostile or wrong request is a usage error that names the place, and never shows the value", async (t) => {
  for (const [operation, body, said] of HOSTILE) {
    await t.step(`${operation} ${(JSON.stringify(body) ?? "").slice(0, 70)}`, () => {
      throws(() => decodeRequest(operation, body), (error) => {
        ok(error instanceof AppError);
        strictEqual(error.code, "usage");
        match(error.message, new RegExp(`^Cannot ${operation}: the request is not understood: `));
        match(error.message, said);
        ok(error.message.length < 300, error.message);
        return true;
      });
    });
  }
});

Deno.test("names of JavaScript's own objects are no operations", () => {
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "", "Create"]) {
    strictEqual(isOperation(name), false, name);
  }
  strictEqual(isOperation("create"), true);
});

Deno.test("a result that is not understood says which of the two to upgrade", () => {
  const state = { ...sent(RESULTS.status[0]) as object, state: "dreaming" };
  const said = (us: string, them: string | null): string => {
    try {
      decodeResult("status", state, {
        us: { protocol: 1, version: us },
        them: them === null ? null : { protocol: 1, version: them },
        where: "build.example",
      });
    } catch (error) {
      ok(error instanceof AppError);
      strictEqual(error.code, "failure");
      return error.message;
    }
    throw new Error("it was understood");
  };
  match(said("0.5.0", "0.6.0"), /build\.example answered .*0\.6\.0, this is 0\.5\.0\. Upgrade this one with/);
  match(said("0.10.0", "0.9.9"), /Upgrade the other one; there, run: dev-sessions upgrade$/);
  match(said("0.5.0", "0.5.0"), /See what runs there with: dev-sessions --version$/);
  match(said("0.5.0-rc.1", "0.5.0"), /Upgrade this one with: dev-sessions upgrade$/);
  match(said("0.5.0", "0.5.0-rc.1"), /Upgrade the other one; there, run: dev-sessions upgrade$/);
  match(said("0.5.0", "nonsense"), /See what runs there with: dev-sessions --version$/);
  match(said("0.5.0", null), /of an unknown version.*See what runs there with: dev-sessions --version$/);
});

Deno.test("judgePeer() says which one to upgrade", () => {
  const rows: readonly (readonly [Peer, Peer, "ok" | "ours" | "theirs", RegExp | null])[] = [
    [{ protocol: 1, version: "0.5.0" }, { protocol: 1, version: "0.9.0" }, "ok", null],
    [{ protocol: 1, version: "0.5.0" }, { protocol: 2, version: "0.6.0" }, "ours", /Upgrade this one with: /],
    [
      { protocol: 2, version: "0.6.0" },
      { protocol: 1, version: "0.5.0" },
      "theirs",
      /Upgrade the other one; /,
    ],
    [{ protocol: 2, version: "0.6.0" }, { protocol: -7, version: "" }, "theirs", /Upgrade the other one; /],
  ];
  for (const [ours, theirs, expected, text] of rows) {
    const judgement = judgePeer(ours, theirs);
    strictEqual(judgement.kind === "ok" ? "ok" : judgement.older, expected);
    const error = mismatchError(ours, theirs, "the gateway http://h:1");
    if (text === null) strictEqual(error, null);
    else {
      match(error?.message ?? "", text);
      match(error?.message ?? "", /^Cannot talk to the gateway http:\/\/h:1: it is dev-sessions /);
    }
  }
});

Deno.test("errors arrive as they were thrown; of what nobody foresaw only the message, of unknown codes a failure", () => {
  for (const code of Object.keys(EXIT_CODES) as (keyof typeof EXIT_CODES)[]) {
    const arrived = decodeError(sent(encodeError(new AppError(code, "m", "d"))) as never);
    deepStrictEqual([arrived.code, arrived.message, arrived.detail], [code, "m", "d"]);
  }
  const unforeseen = encodeError(new TypeError("x is not a function"));
  deepStrictEqual(unforeseen, {
    code: "failure",
    message: "dev-sessions failed unexpectedly: x is not a function",
    detail: null,
  });
  strictEqual(decodeError({ code: "bored", message: "m", detail: null }).code, "failure");
  strictEqual(decodeError({ code: "constructor", message: "m", detail: null }).code, "failure");
});
