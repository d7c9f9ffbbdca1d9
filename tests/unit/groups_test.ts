/** What `@group` stands for in each command. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import {
  expandTargets,
  type GroupAction,
  type GroupMember,
  latestRun,
  type Target,
} from "../../lib/groups.ts";

interface Given {
  readonly parent?: string;
  readonly ended?: number;
  readonly creating?: true;
}

/** `time` is when it was created. */
function member(id: string, group: string | null, time: number, given: Given = {}): GroupMember {
  return {
    id,
    group,
    parent: given.parent ?? null,
    createdAt: at(time),
    endedAt: given.ended === undefined ? null : at(given.ended),
    lifecycle: given.creating ? "creating" : given.ended === undefined ? "active" : "ended",
  };
}

function at(time: number): string {
  return new Date(time).toISOString();
}

function targets(...names: string[]): Target[] {
  return names.map((name) =>
    name.startsWith("@") ? { kind: "group", group: name.slice(1) } : { kind: "session", id: name }
  );
}

const SESSIONS = [
  member("lead-top", null, 1),
  member("boss-top", "api", 2, { parent: "lead-top" }),
  member("fizz-top", "api", 3, { parent: "boss-top" }),
  member("dead-mid", "api", 4, { ended: 6 }),
  member("riven-jg", "api", 5, { parent: "boss-top" }),
  member("vi-mid", "web", 6),
  member("new-sup", "api", 7, { creating: true }),
  member("old-sup", "done", 8, { ended: 9 }),
  member("soon-adc", "soon", 9, { creating: true }),
];

interface Row {
  readonly names: string[];
  readonly action?: GroupAction;
  readonly caller?: string;
  readonly ids: string;
  readonly leftOut?: string;
}

Deno.test("expandTargets() gives each session once, as named, within a group by creation", () => {
  const table: Row[] = [
    { names: ["zed-adc"], ids: "zed-adc" },
    { names: ["vi-mid", "zed-adc", "vi-mid"], ids: "vi-mid zed-adc" },
    { names: ["@web"], ids: "vi-mid" },
    { names: ["riven-jg", "@web", "@api"], ids: "riven-jg vi-mid boss-top fizz-top", leftOut: "new-sup" },
    { names: ["@api", "@api"], ids: "boss-top fizz-top riven-jg", leftOut: "new-sup" },
    { names: ["@api"], action: "read", ids: "boss-top fizz-top dead-mid riven-jg", leftOut: "new-sup" },
    { names: ["@done"], action: "read", ids: "old-sup" },
    { names: ["@done"], action: "kill", ids: "" },
    { names: ["@done"], action: "kill tree", ids: "old-sup" },
    // From inside: never itself, and what ends or answers others never an ancestor.
    { names: ["@api"], caller: "fizz-top", ids: "boss-top riven-jg", leftOut: "fizz-top new-sup" },
    {
      names: ["@api"],
      action: "wait",
      caller: "fizz-top",
      ids: "boss-top riven-jg",
      leftOut: "fizz-top new-sup",
    },
    {
      names: ["@api"],
      action: "kill",
      caller: "fizz-top",
      ids: "riven-jg",
      leftOut: "boss-top fizz-top new-sup",
    },
    {
      names: ["@api"],
      action: "interrupt",
      caller: "fizz-top",
      ids: "riven-jg",
      leftOut: "boss-top fizz-top new-sup",
    },
    {
      names: ["@api"],
      action: "respond",
      caller: "boss-top",
      ids: "fizz-top riven-jg",
      leftOut: "boss-top new-sup",
    },
    {
      names: ["@api"],
      action: "read",
      caller: "fizz-top",
      ids: "boss-top fizz-top dead-mid riven-jg",
      leftOut: "new-sup",
    },
    {
      names: ["@api"],
      action: "kill",
      caller: "elsewhere-top",
      ids: "boss-top fizz-top riven-jg",
      leftOut: "new-sup",
    },
    // Named by its id it is not left out: the command itself says what is wrong with that.
    {
      names: ["@api", "fizz-top"],
      action: "kill",
      caller: "fizz-top",
      ids: "riven-jg fizz-top",
      leftOut: "boss-top new-sup",
    },
  ];
  for (const { names, action = "send", caller = null, ids, leftOut = "" } of table) {
    const got = expandTargets({ targets: targets(...names), action, caller }, SESSIONS);
    const what = `${action} ${names.join(" ")} from ${caller}`;
    strictEqual(got.ids.join(" "), ids, what);
    strictEqual(got.leftOut.map(({ id }) => id).join(" "), leftOut, what);
  }
});

Deno.test("expandTargets() says why it is left with nothing", () => {
  const error = (action: GroupAction, caller: string | null, ...names: string[]) => {
    try {
      expandTargets({ targets: targets(...names), action, caller }, SESSIONS);
    } catch (error) {
      const { code, message, detail } = error as AppError;
      return [code, message, detail].filter((part) => part !== null);
    }
    return [];
  };
  deepStrictEqual(error("send", null, "vi-mid", "@nope"), [
    "not_found",
    'Cannot send to "@nope": no session is in this group. See the groups with: dev-sessions list --all',
    "There are: @api, @web, @done, @soon",
  ]);
  deepStrictEqual(error("wait", null, "@done"), [
    "not_found",
    'Cannot wait for "@done": all of its sessions have ended. See them with: dev-sessions list --all --group done',
  ]);
  deepStrictEqual(error("kill", "vi-mid", "@web"), [
    "not_found",
    'Cannot kill "@web": no other session is left ("vi-mid" is left out: it runs this command). See: dev-sessions list',
  ]);
  strictEqual(error("send", null, "@soon")[0], "not_delivered");
  try {
    expandTargets({ targets: targets("@nope"), action: "read", caller: null }, []);
  } catch (error) {
    strictEqual((error as AppError).detail, null);
  }
});

Deno.test("latestRun() begins anew with the first session that none before it has lived to see", () => {
  const table: [name: string, members: GroupMember[], run: string][] = [
    ["none", [], ""],
    ["all live", [member("a", "g", 1), member("b", "g", 2)], "a b"],
    ["ended together", [member("a", "g", 1, { ended: 5 }), member("b", "g", 2, { ended: 4 })], "a b"],
    ["one after the other", [member("a", "g", 1, { ended: 2 }), member("b", "g", 3, { ended: 4 })], "b"],
    ["in the same moment", [member("a", "g", 1, { ended: 2 }), member("b", "g", 2)], "a b"],
    [
      "a chain of overlaps",
      [member("a", "g", 1, { ended: 3 }), member("b", "g", 2, { ended: 5 }), member("c", "g", 4)],
      "a b c",
    ],
    ["one of the first lives still", [
      member("a", "g", 1),
      member("b", "g", 2, { ended: 3 }),
      member("c", "g", 9),
    ], "a b c"],
    [
      "used three times",
      [
        member("a", "g", 1, { ended: 2 }),
        member("b", "g", 3, { ended: 6 }),
        member("c", "g", 4, { ended: 5 }),
        member("d", "g", 7),
        member("e", "g", 8),
      ],
      "d e",
    ],
  ];
  for (const [name, members, run] of table) {
    strictEqual(latestRun(members).map(({ id }) => id).join(" "), run, name);
  }
});
