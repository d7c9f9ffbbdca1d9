import assert from "node:assert/strict";
import { call, checkRows, session } from "./harness.ts";

function assertRows(lines: readonly string[], ends: readonly (readonly [string, string])[]): void {
  assert.match(lines[0] ?? "", /^ID .* LAST USED {17}GROUP$/);
  const rows = lines.slice(2, -1);
  assert.deepEqual(
    rows.map((
      row,
      index,
    ) => [row.slice(0, ends[index]?.[0].length), row.slice(-(ends[index]?.[1].length ?? 0))]),
    ends,
  );
}

Deno.test("list shows families as a tree, and groups where there are any", async () => {
  const one = (id: string, parent: string | null, group: string | null) =>
    ({ session: session({ id, parent, group }), state: "idle", pending: null }) as const;
  const found = [
    one("fizz-top", null, "api"),
    one("vi-mid", null, null),
    one("riven-jg", "fizz-top", null),
    one("zed-adc", "riven-jg", "api"),
    one("ahri-sup", "gone-top", null),
  ];
  const given = { service: { list: () => Promise.resolve([...found]) } };
  const lines = async (...argv: string[]) => (await call(["list", ...argv], given)).stdout.split("\n");
  assertRows(await lines(), [
    ["fizz-top  claude", "Z  api  "],
    ["vi-mid    claude", "Z       "],
    ["riven-jg  claude", "Z       "],
    ["zed-adc   claude", "Z  api  "],
    ["ahri-sup  claude", "Z       "],
  ]);
  assertRows(await lines("--tree"), [
    ["fizz-top     claude", "Z  api  "],
    ["  riven-jg   claude", "Z       "],
    ["    zed-adc  claude", "Z  api  "],
    ["vi-mid       claude", "Z       "],
    ["ahri-sup     claude", "Z       "],
  ]);
  const records = JSON.parse((await call(["list", "--tree", "--json"], given)).stdout);
  assert.deepEqual(
    records.map(({ id, depth, parent }: Record<string, unknown>) => [id, depth, parent]),
    [["fizz-top", 0, null], ["riven-jg", 1, "fizz-top"], ["zed-adc", 2, "riven-jg"], ["vi-mid", 0, null], [
      "ahri-sup",
      0,
      "gone-top",
    ]],
  );
  assert.ok(!("depth" in JSON.parse((await call(["list", "--json"], given)).stdout)[0]));
});

Deno.test("list prints the table of 0.4.4, with the state as status", async (t) => {
  const listed = [
    { session: session({ description: "the\n  login\x1b[31m form" }), state: "working", pending: null },
    {
      session: session({ id: "riven-jg", mode: "native", path: "/b" }),
      state: "waiting_for_input",
      pending: "Bash: ls",
    },
  ] as const;
  const given = { service: { list: () => Promise.resolve([...listed]) } };
  await checkRows(t, [
    {
      name: "text",
      argv: ["list"],
      given,
      asked: [{ list: { all: false, group: null } }],
      stdout: [
        "ID        CLI     MODE    HOST   STATUS             PATH      DESCRIPTION     LAST USED               ",
        "--------  ------  ------  -----  -----------------  --------  --------------  ------------------------",
        "fizz-top  claude  yolo    local  working            /src/app  the login form  2026-01-02T03:05:05.000Z",
        "riven-jg  claude  native  local  waiting_for_input  /b                        2026-01-02T03:05:05.000Z",
        "",
      ].join("\n"),
    },
    {
      name: "--all says what can be resumed",
      argv: ["list", "--all"],
      given: {
        service: {
          list: () =>
            Promise.resolve([{ ...listed[0], resumable: true }, { ...listed[1], resumable: false }]),
        },
      },
      stdout: [
        "ID        CLI     MODE    HOST   STATUS             PATH      DESCRIPTION     LAST USED                 RESUME",
        "--------  ------  ------  -----  -----------------  --------  --------------  ------------------------  ------",
        "fizz-top  claude  yolo    local  working            /src/app  the login form  2026-01-02T03:05:05.000Z  yes   ",
        "riven-jg  claude  native  local  waiting_for_input  /b                        2026-01-02T03:05:05.000Z  -     ",
        "",
      ].join("\n"),
    },
    { name: "nothing", argv: ["list"], stdout: "No active sessions\n" },
    {
      name: "nothing at all",
      argv: ["list", "--all"],
      stdout: "No sessions\n",
      asked: [{ list: { all: true, group: null } }],
    },
    { name: "nothing as JSON", argv: ["list", "--json"], stdout: "[]\n" },
    {
      name: "nothing in a group",
      argv: ["list", "--group", "api"],
      stdout: "No active sessions in the group api\n",
    },
    { name: "a group", argv: ["list", "--group", "api"], asked: [{ list: { all: false, group: "api" } }] },
    {
      name: "a closed pipe ends quietly",
      argv: ["list"],
      given: { ...given, pipeBreaksAfter: 0 },
      stdout: "",
    },
  ]);
  const records = JSON.parse((await call(["list", "--json"], given)).stdout);
  assert.deepEqual(
    records.map((
      { championId, status, state, pending }: Record<string, string>,
    ) => [championId, status, state, pending]),
    [["fizz-top", "active", "working", null], ["riven-jg", "active", "waiting_for_input", "Bash: ls"]],
  );
});
