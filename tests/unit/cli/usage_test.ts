import assert from "node:assert/strict";
import { sessionNotFound } from "../../../lib/errors.ts";
import { call, checkRows } from "./harness.ts";

const USAGE = { input: 1200, output: 30, cacheRead: 5, cacheWrite: 0, total: 1235 };
const FOUND = [
  { id: "fizz-top", usage: USAGE },
  { id: "riven-jg", usage: { ...USAGE, output: 70, total: 1275 } },
  { id: "zed-mid", usage: null },
];
const given = { service: { usage: () => Promise.resolve([...FOUND]) } };

Deno.test("usage prints a table with the sum, and a dash for what is not known", async (t) => {
  await checkRows(t, [
    {
      name: "all that live",
      argv: ["usage"],
      given,
      asked: [{ usage: null }],
      stdout: [
        "ID        INPUT  OUTPUT  CACHE READ  CACHE WRITE  TOTAL",
        "--------  -----  ------  ----------  -----------  -----",
        "fizz-top  1200   30      5           0            1235 ",
        "riven-jg  1200   70      5           0            1275 ",
        "zed-mid   -      -       -           -            -    ",
        "total     2400   100     10          0            2510 ",
        "",
      ].join("\n"),
    },
    {
      name: "one has no sum",
      argv: ["usage", "zed-mid"],
      asked: [{ usage: ["zed-mid"] }],
      stdout: [
        "ID       INPUT  OUTPUT  CACHE READ  CACHE WRITE  TOTAL",
        "-------  -----  ------  ----------  -----------  -----",
        "zed-mid  -      -       -           -            -    ",
        "",
      ].join("\n"),
    },
    {
      name: "none",
      argv: ["usage"],
      given: { service: { usage: () => Promise.resolve([]) } },
      stdout: "No active sessions\n",
    },
    {
      name: "a session that is not there",
      argv: ["usage", "zed-mid"],
      given: { service: { usage: () => Promise.reject(sessionNotFound("zed-mid")) } },
      code: 3,
      stdout: "",
      stderr: /^Session not found: zed-mid\n/,
    },
  ]);
  assert.deepEqual(JSON.parse((await call(["usage", "--json"], given)).stdout), FOUND);
});

Deno.test("inspect and list --json carry the tokens; the table asks for none", async () => {
  const inspected = await call(["inspect", "fizz-top"], given);
  assert.deepEqual(JSON.parse(inspected.stdout).usage, USAGE);
  assert.deepEqual(inspected.asked, [{ inspect: "fizz-top" }, { usage: ["fizz-top"] }]);
  assert.deepEqual((await call(["list"], given)).asked, [{ list: { all: false, group: null } }]);
  assert.deepEqual((await call(["list", "--json"], given)).asked, [{ list: { all: false, group: null } }, {
    usage: null,
  }]);
});
