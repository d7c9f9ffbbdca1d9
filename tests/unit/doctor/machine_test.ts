/** What is seen of folder, registry, PATH, surroundings and skills, and what doctor says of it. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { type CommandEvidence, judgeCommand } from "../../../lib/doctor/command.ts";
import {
  counted,
  type Finding,
  note,
  ok as fine,
  problem,
  some,
  sorted,
  warning,
  word,
} from "../../../lib/doctor/finding.ts";
import { judgeEvents, judgeRegistry } from "../../../lib/doctor/registry.ts";
import { judgeSkills } from "../../../lib/doctor/skills.ts";
import type { SkillState } from "../../../lib/skills.ts";
import { type FolderEvidence, judgeStateFolder, parseFreeBytes } from "../../../lib/doctor/state_folder.ts";
import { judgeSurroundings, judgeWatches } from "../../../lib/doctor/surroundings.ts";
import type { FileEvidence } from "../../../lib/store/checkup.ts";

const MIB = 1024 * 1024;

/** `level check` of each. */
const shape = (findings: readonly Finding[]) => findings.map(({ level, check }) => `${level} ${check}`);

Deno.test("a fix is a sentence, with the command that does it where there is one; none of these is automatic", () => {
  deepStrictEqual(problem("x", "what", { fix: "Do it" }).fix, {
    text: "Do it",
    command: null,
    automatic: false,
  });
  deepStrictEqual(warning("x", "what", { fix: ["Do it", "cmd"] }).fix, {
    text: "Do it",
    command: "cmd",
    automatic: false,
  });
});

Deno.test("sorted() has the worst first, and keeps the order of one level", () => {
  const findings = [
    fine("a", ""),
    note("b", ""),
    problem("c", "", {}),
    warning("d", "", {}),
    problem("e", "", {}),
  ];
  deepStrictEqual(sorted(findings).map(({ check }) => check), ["c", "e", "d", "b", "a"]);
});

Deno.test("counted(), some() and word() are for people and shells", () => {
  deepStrictEqual([counted(1, "folder"), counted(0, "folder")], ["1 folder", "0 folders"]);
  deepStrictEqual(some(["a", "b", "c"], 2), "a, b and 1 more");
  deepStrictEqual(some(["a"], 2), "a");
  deepStrictEqual(word("/home/u/.dev-sessions"), "/home/u/.dev-sessions");
  deepStrictEqual(word("/home/it's me"), "'/home/it'\\''s me'");
});

const DF: readonly (readonly [name: string, text: string, bytes: number | null])[] = [
  [
    "GNU",
    "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda1         51475068 20000000  28828348      41% /\n",
    28828348 * 1024,
  ],
  [
    "a name with blanks, mounted at one",
    "Filesystem 1024-blocks Used Available Capacity Mounted on\n//nas/my share 100 60 40 60% /mnt/my share\n",
    40 * 1024,
  ],
  [
    "over its limit",
    "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 110 -10 110% /\n",
    -10 * 1024,
  ],
  ["no use known", "Filesystem 1K-blocks Used Available Use% Mounted on\ntmpfs 0 0 0 - /dev/shm\n", 0],
  ["an error", "df: /x: No such file or directory\n", null],
  ["nothing", "", null],
];

Deno.test("parseFreeBytes() reads df -P -k", async (t) => {
  for (const [name, text, bytes] of DF) await t.step(name, () => strictEqual(parseFreeBytes(text), bytes));
});

const FOLDER: FolderEvidence = {
  folder: "/home/u/.dev-sessions",
  at: "/home/u/.dev-sessions",
  state: { path: "/home/u/.dev-sessions", isFolder: true, mode: 0o700, uid: 1000 },
  within: [{ path: "/home/u/.dev-sessions/dev-sessions.db", isFolder: false, mode: 0o600, uid: 1000 }],
  uid: 1000,
  writable: true,
  freeBytes: 5_000 * MIB,
  onNetwork: false,
};

const FOLDERS:
  readonly (readonly [name: string, given: Partial<FolderEvidence>, expected: readonly string[]])[] = [
    ["private and writable", {}, ["ok state-folder"]],
    ["none yet", { state: null, within: [] }, ["ok state-folder"]],
    ["a file", { state: { ...FOLDER.state!, isFolder: false } }, ["problem state-folder"]],
    ["another user's", { state: { ...FOLDER.state!, uid: 0 } }, ["problem state-folder"]],
    ["read-only", { writable: false }, ["problem state-folder"]],
    ["nobody says whether it can be written", { writable: null }, ["ok state-folder"]],
    ["open to others", { state: { ...FOLDER.state!, mode: 0o755 } }, [
      "warning state-modes",
      "ok state-folder",
    ]],
    ["a file open to others", {
      within: [{ path: "/home/u/.dev-sessions/dev-sessions.db", isFolder: false, mode: 0o644, uid: 1000 }],
    }, ["warning state-modes", "ok state-folder"]],
    ["little room", { freeBytes: 100 * MIB }, ["warning disk", "ok state-folder"]],
    ["no room", { freeBytes: 5 * MIB }, ["problem disk"]],
    ["room unknown", { freeBytes: null }, ["note disk", "ok state-folder"]],
    ["on a network file system", { onNetwork: true }, ["note file-system", "ok state-folder"]],
  ];

Deno.test("judgeStateFolder()", async (t) => {
  for (const [name, given, expected] of FOLDERS) {
    await t.step(name, () => deepStrictEqual(shape(judgeStateFolder({ ...FOLDER, ...given })), expected));
  }
});

const READABLE: FileEvidence = {
  kind: "readable",
  version: 2,
  minReader: 1,
  damage: null,
  unwritable: null,
  busy: false,
};

const REGISTRIES: readonly (readonly [name: string, given: FileEvidence, level: string, what: RegExp])[] = [
  ["whole", READABLE, "ok", /whole and writable/],
  ["none yet", { kind: "missing" }, "ok", /no registry yet/],
  ["can't be opened", { kind: "unusable", why: "Cannot read it: damaged" }, "problem", /^Cannot read it/],
  ["damaged", { ...READABLE, damage: "row 7 missing from index" }, "problem", /row 7 missing/],
  [
    "a newer version's, which says that older ones must not",
    { ...READABLE, version: 9, minReader: 9 },
    "problem",
    /newer/,
  ],
  ["a newer version's, for all", { ...READABLE, version: 9 }, "note", /schema 9/],
  ["an older version's", { ...READABLE, version: 1 }, "note", /schema 1/],
  ["another program's", { ...READABLE, version: 0 }, "problem", /another program/],
  ["read-only", { ...READABLE, unwritable: "attempt to write a readonly database" }, "problem", /readonly/],
  ["locked", { ...READABLE, busy: true }, "warning", /locked/],
];

Deno.test("judgeRegistry()", async (t) => {
  for (const [name, given, level, what] of REGISTRIES) {
    await t.step(name, () => {
      const finding = judgeRegistry(given, "/s/dev-sessions.db", 2);
      strictEqual(finding.level, level);
      match(finding.what, what);
      strictEqual(finding.fix === null, level === "ok");
    });
  }
});

Deno.test("judgeEvents() warns of a log of events that can't be read, and never more", () => {
  deepStrictEqual(judgeEvents({ kind: "missing" }, "/e"), []);
  deepStrictEqual(judgeEvents(READABLE, "/e"), []);
  deepStrictEqual(shape(judgeEvents({ kind: "unusable", why: "no" }, "/e")), ["warning events"]);
  deepStrictEqual(shape(judgeEvents({ ...READABLE, damage: "x" }, "/e")), ["warning events"]);
});

const at = (path: string, version: string | null, realPath = path) => ({ path, realPath, version });
const COMMANDS: readonly (readonly [name: string, given: CommandEvidence, level: string, what: RegExp])[] = [
  [
    "not on PATH",
    { candidates: [], own: "/opt/dev-sessions", version: "0.5.0" },
    "warning",
    /no dev-sessions on PATH/,
  ],
  [
    "this file",
    { candidates: [at("/b/dev-sessions", "0.5.0")], own: "/b/dev-sessions", version: "0.5.0" },
    "ok",
    /0\.5\.0/,
  ],
  [
    "a link to this file",
    { candidates: [at("/b/dev-sessions", null, "/opt/ds")], own: "/opt/ds", version: "0.5.0" },
    "ok",
    /\/b\/dev-sessions/,
  ],
  [
    "this version, from source",
    { candidates: [at("/b/dev-sessions", "0.5.0")], own: null, version: "0.5.0" },
    "ok",
    /0\.5\.0/,
  ],
  [
    "0.4.4 before this one",
    {
      candidates: [at("/n/dev-sessions", "0.4.4"), at("/b/dev-sessions", "0.5.0")],
      own: "/b/dev-sessions",
      version: "0.5.0",
    },
    "warning",
    /\/n\/dev-sessions comes first on PATH and is version 0\.4\.4/,
  ],
  [
    "another file of the same version",
    { candidates: [at("/x/dev-sessions", "0.5.0")], own: "/b/dev-sessions", version: "0.5.0" },
    "warning",
    /\/x\/dev-sessions/,
  ],
  [
    "one that says nothing",
    { candidates: [at("/x/dev-sessions", null)], own: null, version: "0.5.0" },
    "warning",
    /not tell/,
  ],
];

Deno.test("judgeCommand()", async (t) => {
  for (const [name, given, level, what] of COMMANDS) {
    await t.step(name, () => {
      const finding = judgeCommand(given);
      strictEqual(finding.level, level);
      match(finding.what, what);
    });
  }
});

Deno.test("judgeCommand() tells of others behind this one", () => {
  const candidates = [at("/b/dev-sessions", "0.5.0"), at("/n/dev-sessions", "0.4.4")];
  match(
    judgeCommand({ candidates, own: "/b/dev-sessions", version: "0.5.0" }).why ?? "",
    /\/n\/dev-sessions/,
  );
});

Deno.test("judgeSurroundings()", () => {
  const none = { insideOf: null, insideOfIsKnown: true, container: null, sandbox: false, home: "/home/u" };
  deepStrictEqual(judgeSurroundings(none), []);
  deepStrictEqual(shape(judgeSurroundings({ ...none, insideOf: "fizz-top" })), ["note nested"]);
  deepStrictEqual(shape(judgeSurroundings({ ...none, insideOf: "fizz-top", insideOfIsKnown: false })), [
    "warning nested",
  ]);
  deepStrictEqual(shape(judgeSurroundings({ ...none, container: "/.dockerenv" })), ["note container"]);
  const behindGateway = { ...none, container: "/.dockerenv", sandbox: true };
  deepStrictEqual(shape(judgeSurroundings(behindGateway)), ["note sandbox"]);
});

Deno.test("judgeWatches() tells which limit is used up", () => {
  strictEqual(judgeWatches(null).level, "ok");
  match(judgeWatches("Too many open files (os error 24)").fix?.command ?? "", /max_user_instances/);
  match(judgeWatches('OS file watch limit reached. about ["/tmp"]').fix?.command ?? "", /max_user_watches/);
  const other = judgeWatches("Function not implemented (os error 38)");
  deepStrictEqual([other.level, other.fix?.command], ["warning", null]);
});

Deno.test("judgeSkills() calls the skills ok only when all are those of this version", async (t) => {
  const INSTALL = "dev-sessions install-skill";
  const rows: readonly (readonly [states: string, ...findings: (readonly [what: string, fix: string])[]])[] =
    [
      ["missing missing", ["no skills are installed", INSTALL]],
      ["current missing", ["1 skill is not installed: /s/missing", INSTALL]],
      ["current changed", ["1 skill is not of this version: /s/changed", `${INSTALL} --force`]],
      ["changed changed", ["2 skills are not of this version: /s/changed, /s/changed", `${INSTALL} --force`]],
      [
        "unknown missing changed outdated",
        ["1 installed skill of another version: /s/outdated", INSTALL],
        ["1 skill is not of this version: /s/changed", `${INSTALL} --force`],
        ["1 skill is not installed: /s/missing", INSTALL],
        ["1 skill can't be read: /s/unknown", `${INSTALL} --dry-run`],
      ],
    ];
  const judged = (states: string) =>
    judgeSkills(states.split(" ").map((state) => ({ path: `/s/${state}`, state: state as SkillState })));
  for (const [states, ...expected] of rows) {
    await t.step(states, () => {
      deepStrictEqual(
        judged(states).map(({ level, what, fix }) => [level, what, fix?.command]),
        expected.map((finding) => ["note", ...finding]),
      );
    });
  }
  deepStrictEqual(judgeSkills([]), []);
  deepStrictEqual(shape(judged("current current")), ["ok skills"]);
});
