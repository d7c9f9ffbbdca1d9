import assert from "node:assert/strict";
import { buildCommand } from "@stricli/core";
import { VERBS } from "../../../lib/cli/app.ts";
import { complete } from "../../../lib/cli/completion/complete.ts";
import { splitLine } from "../../../lib/cli/completion/shell_line.ts";
import type { VerbTable } from "../../../lib/cli/completion/tree.ts";
import { workspaceOf } from "../../../lib/cli/create_questions.ts";
import { choice } from "../../../lib/cli/parsers.ts";
import type { ParseContext } from "../../../lib/cli/verb.ts";
import { StoreHome } from "../../support/store_home.ts";
import { call } from "./harness.ts";

const NO_HOME = { env: {} };

/** First line, and the words without their descriptions. */
async function asked(argv: readonly string[], verbs: VerbTable = VERBS, env: Record<string, string> = {}) {
  const [kind, ...lines] = (await complete(argv, verbs, { env }))?.split("\n") ?? ["silent"];
  return { kind, words: lines.map((line) => line.split("\t")[0] ?? "") };
}

Deno.test("every verb that help shows is completed, with its description", async () => {
  for (const [name, { brief }] of Object.entries(VERBS)) {
    const parts = name.split(" ");
    const last = parts.pop();
    const text = await complete(["zsh", ...parts, ""], VERBS, NO_HOME);
    assert.ok(text?.split("\n").includes(`${last}\t${brief}`), name);
  }
  const first = new Set(Object.keys(VERBS).map((name) => name.split(" ")[0]));
  assert.deepEqual((await asked(["fish", ""])).words, [...first, "help"]);
  assert.deepEqual((await asked(["fish", "help", ""])).words, [...first, "exit-codes"]);
});

Deno.test("every option of every verb is completed by its name, and hidden ones are not", async (t) => {
  for (const name of Object.keys(VERBS)) {
    await t.step(name, async () => {
      const { words } = await asked(["zsh", ...name.split(" "), "--"]);
      const page = (await call(["help", ...name.split(" ")])).stdout;
      const shown = [...page.matchAll(/^ +(?:-\w )?\[?(--[a-z-]+)/gm)].map((match) => match[1]);
      assert.deepEqual(words.toSorted(), [...new Set([...shown, "--help"])].toSorted());
    });
  }
});

Deno.test("what fits depends on the words before the cursor", async (t) => {
  const rows: readonly (readonly [line: string, kind: string, words?: readonly string[]])[] = [
    ["create --cli ", "words", ["claude", "codex"]],
    ["create --cli=", "words", ["claude", "codex"]],
    ["create -m ", "words", ["yolo", "native", "docker"]],
    ["create --agent-arg --cli --mode ", "words", ["yolo", "native", "docker"]],
    ["create --agent-arg --mode -p x --sandbox ", "words", ["read-only", "workspace", "full"]],
    ["create -d --cli --mo", "words"],
    ["create -p ", "folders"],
    ["create --path ", "folders"],
    ["create --file ", "files"],
    ["create --file=", "files"],
    ["create --trust=", "nothing"],
    ["create --nonsense=", "nothing"],
    ["create --model ", "nothing"],
    ["create --worktree ", "nothing"],
    ["last-message fizz-top --output ", "files"],
    ["goal fizz-top -f ", "files"],
    ["goal fizz-top wor", "nothing"],
    ["send fizz-top ", "nothing"],
    ["send fizz-top -- --", "nothing"],
    ["completions ", "words", ["bash", "zsh", "fish"]],
    ["completions zsh ", "words", ["--help"]],
    ["nonsense ", "nothing"],
    ["constructor ", "nothing"],
    ["-", "words", ["--help", "--version"]],
    ["help create ", "nothing"],
    // Sessions and groups, where there is no registry.
    ["send ", "silent"],
    ["send -- ", "silent"],
    ["send --queue --key k ", "silent"],
    ["wait fizz-top riven-jg ", "silent"],
    ["goal ", "silent"],
    ["list --group ", "silent"],
  ];
  for (const [line, kind, words] of rows) {
    await t.step(line, async () => {
      const got = await asked(["zsh", ...line.split(" ")]);
      assert.equal(got.kind, kind);
      if (words !== undefined) assert.deepEqual(got.words, words);
    });
  }
});

Deno.test("an option that was given is not offered again, unless it may be repeated", async () => {
  const { words } = await asked(["zsh", "create", "-q", "--agent-arg", "x", "--cli=codex", "-"]);
  for (const gone of ["--quiet", "-q", "--cli"]) assert.ok(!words.includes(gone), gone);
  for (const left of ["--agent-arg", "--mode", "-m", "--help", "-h"]) assert.ok(words.includes(left), left);
});

Deno.test("an option that may stand alone lets options follow, and values", async () => {
  assert.ok((await asked(["zsh", "create", "--worktree", "--"])).words.includes("--mode"));
  assert.deepEqual((await asked(["zsh", "create", "--worktree", "--mode", ""])).words, [
    "yolo",
    "native",
    "docker",
  ]);
  assert.deepEqual((await asked(["zsh", "create", "--worktree", "b", "--mode", ""])).words, [
    "yolo",
    "native",
    "docker",
  ]);
});

Deno.test("sessions are live, ended or both, as the verb needs them", async (t) => {
  using home = new StoreHome();
  const store = home.open();
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(home.paths.database);
  const long = `the\tlogin\nform \x1b[31m${"x".repeat(80)}`;
  for (
    const [id, group, description, lifecycle] of [
      ["fizz-top", "api", long, "active"],
      ["riven-jg", "api", null, "active"],
      ["garen-top", "old", "gone", "ended"],
      ["vi-mid", "api", "not yet", "creating"],
    ] as const
  ) {
    database.prepare(
      `INSERT INTO sessions (id, token, agent, mode, path, description, lifecycle, created_at, last_used_at, group_name)
       VALUES (?, ?, 'claude', 'yolo', '/src/app', ?, ?, '2026-01-01', '2026-01-01', ?)`,
    ).run(id, crypto.randomUUID(), description, lifecycle, group);
  }
  database.prepare("UPDATE sessions SET last_used_at = '2026-01-02' WHERE id = 'riven-jg'").run();
  database.close();
  const rows: readonly (readonly [line: string, words: readonly string[]])[] = [
    ["send ", ["riven-jg", "fizz-top", "@api"]],
    ["kill riven-jg ", ["fizz-top", "@api"]],
    ["kill @", ["riven-jg", "fizz-top", "@api"]],
    ["resume ", ["garen-top", "@old"]],
    ["prune ", ["garen-top", "@old"]],
    ["logs ", ["riven-jg", "fizz-top", "@api"]],
    ["logs gar", ["garen-top", "@old"]],
    ["goal ", ["riven-jg", "fizz-top"]],
    ["list --group ", ["api", "old"]],
    ["create --group=", ["api", "old"]],
  ];
  const env = { HOME: home.home };
  for (const where of ["open elsewhere", "at rest"]) {
    for (const [line, words] of rows) {
      await t.step(`${line}, the registry ${where}`, async () => {
        assert.deepEqual((await asked(["zsh", ...line.split(" ")], VERBS, env)).words, words);
      });
    }
    store.close();
  }
  await t.step("descriptions are short, on one line and harmless", async () => {
    const lines = (await complete(["zsh", "send", ""], VERBS, { env }))?.split("\n") ?? [];
    assert.equal(lines[1], "riven-jg\t/src/app");
    assert.match(lines[2] ?? "", /^fizz-top\tthe login form x{42}\.\.\.$/);
    assert.equal(lines[3], "@api\t2 sessions");
  });
});

Deno.test("bash gets what stands behind the part that it keeps", async (t) => {
  const rows: readonly (readonly [line: string, replaced: string, words: readonly string[]])[] = [
    ["dev-sessions create --cli=c", "c", ["claude", "codex"]],
    ["dev-sessions create --cli=", "", ["claude", "codex"]],
    ["dev-sessions create --cli cl", "cl", ["claude"]],
    ["/usr/bin/dev-sessions create --cli cl", "cl", ["claude"]],
    ["dev-sessions create -d 'a --mode' --cli co", "co", ["codex"]],
    ["dev-sessions stat", "stat", ["status"]],
    ["dev-sessions create --cli x", "x", []],
  ];
  for (const [line, replaced, words] of rows) {
    await t.step(line, async () => assert.deepEqual((await asked(["bash", line, replaced])).words, words));
  }
});

Deno.test("fish gets whole words", async () => {
  assert.deepEqual((await asked(["fish", "create", "--cli=c"])).words, ["--cli=claude", "--cli=codex"]);
});

Deno.test("a command of commands is completed to its end", async () => {
  const leaf = (brief: string) =>
    buildCommand<{ readonly mode: string | undefined }, [], ParseContext>({
      docs: { brief },
      parameters: {
        flags: {
          mode: {
            kind: "parsed",
            parse: choice("mode", ["docker"], []),
            optional: true,
            brief: "m",
            placeholder: "mode",
          },
        },
      },
      func() {},
    });
  const verb = (brief: string) => ({ brief, load: () => Promise.resolve({ command: leaf(brief) }) });
  const verbs: VerbTable = {
    "gateway": verb("The gateway"),
    "gateway token create": verb("Make one"),
    "gateway token revoke": verb("End one"),
  };
  const rows: readonly (readonly [line: string, words: readonly string[]])[] = [
    ["", ["gateway", "help"]],
    ["gateway ", ["token", "--mode", "--help"]],
    ["gateway -", ["--mode", "--help", "-h"]],
    ["gateway token ", ["create", "revoke"]],
    ["gateway token -", []],
    ["gateway token create --mode ", ["docker"]],
    ["gateway --mode ", ["docker"]],
    ["help gateway ", ["token"]],
    ["help gateway token ", ["create", "revoke"]],
  ];
  for (const [line, words] of rows) {
    assert.deepEqual((await asked(["zsh", ...line.split(" ")], verbs)).words, words, line);
  }
});

Deno.test("__complete never fails, and opens no service", async () => {
  for (
    const argv of [[], ["bash"], ["zsh"], ["tcsh", "x"], ["zsh", "create", "--__proto__=", "-"], [
      "zsh",
      "send",
      "",
    ]]
  ) {
    const { code, stderr, opened } = await call(["__complete", ...argv]);
    assert.deepEqual([code, stderr, opened], [0, "", 0], argv.join(" "));
  }
});

Deno.test("completions prints the script of a shell, and refuses other shells", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout, stderr } = await call(["completions", shell]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.ok(stdout.includes(`dev-sessions __complete ${shell} `), shell);
  }
  const { code, stdout, stderr } = await call(["completions", "tcsh"]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /^Cannot complete for the shell "tcsh": it must be bash, zsh or fish\n/);
});

Deno.test("splitLine() splits as bash does", () => {
  const rows: readonly (readonly [line: string, words: readonly string[], partial: string])[] = [
    ["", [], ""],
    ["a", [], "a"],
    ["a ", ["a"], ""],
    ["a  b\tc", ["a", "b"], "c"],
    ["a 'b c' d", ["a", "b c"], "d"],
    ["a 'b \\", ["a"], "b \\"],
    ['a "b \\" $x \\n" c', ["a", 'b " $x \\n'], "c"],
    ["a b\\ c", ["a"], "b c"],
    ["a '' ", ["a", ""], ""],
    ["a 'b'\"c\"d", ["a"], "bcd"],
    ["a $(rm x) `y`", ["a", "$(rm", "x)"], "`y`"],
    ["a\\", [], "a"],
  ];
  for (const [line, words, partial] of rows) assert.deepEqual(splitLine(line), { words, partial }, line);
});

Deno.test("workspaceOf() makes absolute paths of what people type", () => {
  const rows = [
    ["", "/here"],
    ["  ", "/here"],
    ["~", "/home/me"],
    ["~/src", "/home/me/src"],
    ["src", "/here/src"],
    [
      " /abs ",
      "/abs",
    ],
    ["../x", "/x"],
    ["~x", "/here/~x"],
  ] as const;
  for (const [line, path] of rows) assert.equal(workspaceOf(line, "/home/me", "/here"), path, line);
});
