/** Whichever form of dev-sessions runs, the command that starts it again is that of the installed file. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { launcherScript } from "../../build/launcher.ts";
import {
  decideProgram,
  type Launched,
  type Program,
  type ProgramEvidence,
  selfCommand,
  takeLauncher,
} from "../../lib/self_command.ts";

const EXECUTABLE = "/home/u/.local/bin/dev-sessions";
const DENO = "/opt/deno";
const MAIN = "/src/dev-sessions/main.ts";
const BUNDLE = "/src/dev-sessions/dist/main.js";

interface Row {
  readonly name: string;
  readonly evidence?: Partial<ProgramEvidence>;
  readonly recorded?: string;
  /** What exists. */
  readonly files: readonly string[];
  /** Or the file whose absence is the error. */
  readonly expected: Program | string;
}

const COMPILED = {
  standalone: true,
  execPath: EXECUTABLE,
  mainModule: "file:///tmp/deno-compile-dev-sessions/dist/main.js",
};
const BY_LAUNCHER = { execPath: "/lib/deno", launcher: EXECUTABLE, mainModule: "file:///lib/dist/main.js" };
const compiled = (executable: string): Program => ({ kind: "compiled", executable });

const ROWS: readonly Row[] = [
  { name: "compiled", evidence: COMPILED, files: [EXECUTABLE], expected: compiled(EXECUTABLE) },
  {
    name: "compiled: a launcher around it does not count",
    evidence: { ...COMPILED, launcher: "/other/dev-sessions" },
    files: [EXECUTABLE, "/other/dev-sessions"],
    expected: compiled(EXECUTABLE),
  },
  {
    name: "compiled, replaced by an upgrade",
    evidence: { ...COMPILED, execPath: `${EXECUTABLE} (deleted)` },
    files: [EXECUTABLE],
    expected: compiled(EXECUTABLE),
  },
  {
    name: "compiled, its name really ends like this",
    evidence: { ...COMPILED, execPath: `${EXECUTABLE} (deleted)` },
    files: [EXECUTABLE, `${EXECUTABLE} (deleted)`],
    expected: compiled(`${EXECUTABLE} (deleted)`),
  },
  {
    name: "compiled, installed elsewhere since",
    evidence: { ...COMPILED, execPath: `${EXECUTABLE} (deleted)` },
    recorded: "/usr/local/bin/dev-sessions",
    files: ["/usr/local/bin/dev-sessions"],
    expected: compiled("/usr/local/bin/dev-sessions"),
  },
  {
    name: "compiled, removed with what was recorded",
    evidence: { ...COMPILED, execPath: `${EXECUTABLE} (deleted)` },
    recorded: EXECUTABLE,
    files: [],
    expected: EXECUTABLE,
  },
  {
    name: "compiled, removed, and the record is no absolute path",
    evidence: { ...COMPILED, execPath: `${EXECUTABLE} (deleted)` },
    recorded: "dev-sessions",
    files: ["dev-sessions"],
    expected: EXECUTABLE,
  },
  {
    name: "compiled: a record does not outweigh the executable that runs",
    evidence: COMPILED,
    recorded: "/usr/local/bin/dev-sessions",
    files: [EXECUTABLE, "/usr/local/bin/dev-sessions"],
    expected: compiled(EXECUTABLE),
  },
  {
    name: "by a launcher",
    evidence: BY_LAUNCHER,
    files: [EXECUTABLE, "/lib/deno", "/lib/dist/main.js"],
    expected: { kind: "launcher", executable: EXECUTABLE },
  },
  {
    name: "by a launcher, whose Deno and bundle an upgrade has replaced",
    evidence: { ...BY_LAUNCHER, execPath: "/lib/deno (deleted)" },
    files: [EXECUTABLE],
    expected: { kind: "launcher", executable: EXECUTABLE },
  },
  {
    name: "by a launcher, installed elsewhere since",
    evidence: BY_LAUNCHER,
    recorded: "/usr/local/bin/dev-sessions",
    files: ["/usr/local/bin/dev-sessions", "/lib/deno", "/lib/dist/main.js"],
    expected: { kind: "launcher", executable: "/usr/local/bin/dev-sessions" },
  },
  {
    name: "by a launcher that was removed",
    evidence: BY_LAUNCHER,
    files: ["/lib/deno"],
    expected: EXECUTABLE,
  },
  { name: "a checkout", files: [DENO, MAIN], expected: { kind: "source", deno: DENO, main: MAIN } },
  {
    name: "a checkout: what is installed does not count",
    recorded: EXECUTABLE,
    files: [DENO, MAIN, EXECUTABLE],
    expected: { kind: "source", deno: DENO, main: MAIN },
  },
  {
    name: "a checkout whose Deno was upgraded, in a folder with odd characters",
    evidence: { execPath: `${DENO} (deleted)`, mainModule: "file:///src/my%20%25%20t%C3%A4st/main.ts" },
    files: [DENO, "/src/my % täst/main.ts"],
    expected: { kind: "source", deno: DENO, main: "/src/my % täst/main.ts" },
  },
  {
    name: "the bundle, started by hand",
    evidence: { mainModule: `file://${BUNDLE}` },
    files: [DENO, BUNDLE],
    expected: { kind: "bundle", deno: DENO, main: BUNDLE },
  },
  { name: "a checkout that was removed", files: [DENO], expected: MAIN },
  {
    name: "a checkout whose Deno was removed",
    evidence: { execPath: `${DENO} (deleted)` },
    files: [MAIN],
    expected: DENO,
  },
];

Deno.test("decideProgram() finds the file that starts dev-sessions again", async (t) => {
  for (const { name, evidence, recorded = null, files, expected } of ROWS) {
    await t.step(name, () => {
      const decide = () =>
        decideProgram({
          standalone: false,
          execPath: DENO,
          mainModule: `file://${MAIN}`,
          launcher: null,
          ...evidence,
          recorded: () => recorded,
          isFile: (path) => files.includes(path),
        });
      if (typeof expected !== "string") return deepStrictEqual(decide(), expected);
      throws(decide, {
        name: "AppError",
        message: `Cannot start dev-sessions again: "${expected}" is gone. Install dev-sessions again`,
      });
    });
  }
});

Deno.test("selfCommand() passes arguments on as they are, in every form", () => {
  const args = ["send", "fizz-top", "--", "-a b; $HOME", ""];
  const commandOf = (program: Program) => {
    const { command, args: all } = selfCommand(args, { program: () => program });
    return [command, ...all];
  };
  deepStrictEqual(commandOf({ kind: "compiled", executable: EXECUTABLE }), [EXECUTABLE, ...args]);
  deepStrictEqual(commandOf({ kind: "launcher", executable: EXECUTABLE }), [EXECUTABLE, ...args]);
  deepStrictEqual(commandOf({ kind: "source", deno: DENO, main: MAIN }), [
    ...[DENO, "run", "-A", "--quiet", MAIN],
    ...args,
  ]);
  deepStrictEqual(commandOf({ kind: "bundle", deno: DENO, main: BUNDLE }), [
    ...[DENO, "run", "-A", "--quiet", "--no-config", BUNDLE],
    ...args,
  ]);
});

Deno.test("takeLauncher() leaves nothing of the launcher in the environment, and what is the user's", () => {
  const by = { DEV_SESSIONS_EXECUTABLE: EXECUTABLE };
  const table: [given: Record<string, string>, env: Record<string, string>, rest?: Partial<Launched>][] = [
    [{ A: "1" }, { A: "1" }],
    [{ A: "1", ...by }, { A: "1" }, { launcher: EXECUTABLE }],
    [{ DEV_SESSIONS_EXECUTABLE: "dev-sessions" }, {}],
    [{ DEV_SESSIONS_EXECUTABLE: "" }, {}],
    [{ ...by, DENO_NO_UPDATE_CHECK: "dev-sessions" }, {}, { launcher: EXECUTABLE }],
    [{ DENO_NO_UPDATE_CHECK: "1" }, { DENO_NO_UPDATE_CHECK: "1" }],
    [{ HOME: "/home/u" }, { HOME: "/home/u" }],
    [{ ...by, HOME: "/lib", DEV_SESSIONS_CALLER_HOME: "/home/u" }, { HOME: "/home/u" }, {
      launcher: EXECUTABLE,
    }],
    [{ ...by, HOME: "/lib", DEV_SESSIONS_CALLER_HOME: "" }, {}, { launcher: EXECUTABLE }],
    [{ ...by, DEV_SESSIONS_FOLDER_GONE: "1" }, {}, { launcher: EXECUTABLE, folderIsGone: true }],
    [{ DEV_SESSIONS_FOLDER_GONE: "" }, {}],
  ];
  for (const [given, env, rest] of table) {
    deepStrictEqual(
      takeLauncher(given),
      { env, launcher: null, folderIsGone: false, ...rest },
      JSON.stringify(given),
    );
  }
});

Deno.test("launcherScript() quotes its paths and takes absolute ones only", () => {
  const files = {
    executable: "/home/it's me/dev-sessions",
    deno: "/lib $x/deno",
    main: "/lib $x/dist/main.js",
  };
  const lines = launcherScript(files).split("\n");
  strictEqual(lines[0], "#!/bin/sh");
  strictEqual(lines[1], `DEV_SESSIONS_EXECUTABLE='/home/it'\\''s me/dev-sessions'`);
  strictEqual(lines.at(-2), `exec '/lib $x/deno' run -A --quiet --no-config '/lib $x/dist/main.js' "$@"`);
  for (const name of Object.keys(files)) {
    throws(
      () => launcherScript({ ...files, [name]: "dist/main.js" }),
      /"dist\/main.js" is not an absolute path/,
    );
  }
});
