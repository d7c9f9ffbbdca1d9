/** Tab in the real shells, and what the shells ask of dev-sessions for it. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { writeCommand } from "../support/live_session.ts";
import { created, registryFile, rows } from "../support/sandbox_state.ts";
import { PROMPT, type ShellName, ShellPane } from "../support/shell_pane.ts";

const PAGE = new URL("../../docs/completions.md", import.meta.url).pathname;

/** The commands that the page names for a shell, line by line; zsh has two ways. */
async function setups(shell: ShellName): Promise<readonly (readonly string[])[]> {
  const page = await Deno.readTextFile(PAGE);
  const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)];
  return blocks.filter(([, name]) => name === shell).map(([, , lines = ""]) => lines.trimEnd().split("\n"));
}

const SHELLS: readonly ShellName[] = ["bash", "zsh", "fish"];
/** What Tab makes of a line when only one thing fits; the same in every shell. */
const COMPLETED: readonly (readonly [line: string, then: string])[] = [
  ["dev-sessions compl", "dev-sessions completions"],
  ["dev-sessions help exit", "dev-sessions help exit-codes"],
  ["dev-sessions send fi", "dev-sessions send fizz-top"],
  ["dev-sessions kill fizz-top ri", "dev-sessions kill fizz-top riven-jg"],
  ["dev-sessions wait @", "dev-sessions wait @api"],
  ["dev-sessions list --group ", "dev-sessions list --group api"],
  ["dev-sessions resume ", "dev-sessions resume garen-top"],
  ["dev-sessions logs gar", "dev-sessions logs garen-top"],
  ["dev-sessions create --cli cl", "dev-sessions create --cli claude"],
  ["dev-sessions create --mode=y", "dev-sessions create --mode=yolo"],
  ["dev-sessions create --sandbox r", "dev-sessions create --sandbox read-only"],
  ["dev-sessions create --read", "dev-sessions create --ready-timeout"],
  ["dev-sessions create -p so", "dev-sessions create -p some\\ dir/"],
  ["dev-sessions create --path=so", "dev-sessions create --path=some\\ dir/"],
  ["dev-sessions send fizz-top -f some\\ f", "dev-sessions send fizz-top -f some\\ file.md"],
  ["dev-sessions create --file=brief", "dev-sessions create --file=brief.md"],
  ["echo x; FOO=1 dev-sessions status fi", "echo x; FOO=1 dev-sessions status fizz-top"],
  ["dev-sessions send fizz-top 'the words of' --ke", "dev-sessions send fizz-top 'the words of' --key"],
];
/** What fits nowhere: the line stays, whatever files there are. */
const UNCHANGED = [
  "dev-sessions send fizz-top some",
  "dev-sessions nonsense some",
  "dev-sessions send gar",
  "dev-sessions create --model some",
];

/** What sessions are for, in signs that mean something to shells. */
const DESCRIPTIONS = ["the form: `touch x`", "C:\\new\\d+\\\\ 5% of $x"] as const;

/** Four sessions, three of which live, and files beside them. */
async function world(): Promise<Sandbox> {
  const sandbox = await createSandbox({ agent: "stub" });
  await writeCommand(sandbox);
  await created(sandbox, ["--id", "garen-top"]);
  strictEqual((await sandbox.run(["kill", "garen-top"])).code, 0);
  const [login, paths] = DESCRIPTIONS;
  await created(sandbox, ["--id", "ekko-jg", "-d", paths]);
  await created(sandbox, ["--id", "fizz-top", "--group", "api", "-d", login]);
  await created(sandbox, ["--id", "riven-jg", "-d", paths]);
  await sandbox.folder("ws/some dir");
  for (const name of ["some file.md", "brief.md"]) {
    await Deno.writeTextFile(`${sandbox.workspace}/${name}`, "");
  }
  return sandbox;
}

for (const shell of SHELLS) {
  Deno.test(`Tab completes commands, ids, groups, options and paths in ${shell}`, async (t) => {
    await using sandbox = await world();
    await using pane = await ShellPane.open(sandbox, shell, (await setups(shell))[0]);
    for (const [line, then] of COMPLETED) {
      await t.step(line, async () => {
        await pane.type(line, "Tab");
        await pane.shows((screen) => screen.split("\n")[0] === `${PROMPT} ${then}`);
        await pane.clear();
      });
    }
    await t.step("several that fit are listed", async () => {
      await pane.type("dev-sessions send ", "Tab", "Tab");
      await pane.shows((screen) => ["fizz-top", "riven-jg", "@api"].every((one) => screen.includes(one)));
      // bash has nowhere to show what a session is for.
      if (shell !== "bash") await pane.shows((screen) => DESCRIPTIONS.every((one) => screen.includes(one)));
      const screen = await pane.screen();
      ok(!screen.includes("garen-top"));
      // The last used comes first; bash has an order of its own, and fish shows several columns.
      if (shell === "zsh") {
        const shown = screen.split("\n").slice(1).map((line) => line.split(" ")[0]);
        deepStrictEqual(shown, ["riven-jg", "fizz-top", "ekko-jg", "@api"]);
      }
      await pane.clear();
    });
    for (const line of UNCHANGED) {
      await t.step(`nothing fits: ${line}`, async () => {
        // What is typed behind the Tab shows when the shell has dealt with it.
        await pane.type(line, "Tab", "|");
        await pane.shows((screen) => screen.split("\n")[0] === `${PROMPT} ${line}|`);
        await pane.clear();
      });
    }
    deepStrictEqual(rows(sandbox), [
      "garen-top ended",
      "ekko-jg active",
      "fizz-top active",
      "riven-jg active",
    ]);
  });
}

Deno.test("zsh also takes the script as a file of its own in fpath", async () => {
  await using sandbox = await world();
  await using pane = await ShellPane.open(sandbox, "zsh", (await setups("zsh"))[1]);
  await pane.type("dev-sessions send fi", "Tab");
  await pane.shows((screen) => screen.startsWith(`${PROMPT} dev-sessions send fizz-top`));
});

Deno.test("bash without compopt, as 3.2 is, completes ids and names of files", async () => {
  await using sandbox = await world();
  await using pane = await ShellPane.open(sandbox, "bash", [
    "enable -n compopt",
    ...(await setups("bash"))[0] ?? [],
  ]);
  for (
    const [line, then] of [
      ["dev-sessions send fi", "dev-sessions send fizz-top"],
      ["dev-sessions kill @", "dev-sessions kill @api"],
      ["dev-sessions create --cli=cl", "dev-sessions create --cli=claude"],
      ["dev-sessions create --file=brief", "dev-sessions create --file=brief.md"],
      ["dev-sessions create -p some\\ d", "dev-sessions create -p some\\ dir/"],
    ] as const
  ) {
    await pane.type(line, "Tab");
    await pane.shows((screen) => screen.split("\n")[0] === `${PROMPT} ${then}`);
    await pane.clear();
  }
});

Deno.test("the scripts are clean to the shells' own checks", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  // Else fish makes a folder in /tmp.
  const env = { XDG_RUNTIME_DIR: await sandbox.folder("run") };
  const folder = new URL("../../lib/cli/completion/", import.meta.url).pathname;
  for (
    const [name, program, ...args] of [
      ["bash", "bash", "-n", `${folder}script.bash`],
      ["bash, shellcheck", "shellcheck", "-s", "bash", `${folder}script.bash`],
      ["zsh", "zsh", "-n", `${folder}script.zsh`],
      ["fish", "fish", "--no-execute", `${folder}script.fish`],
    ] as const
  ) {
    await t.step(name, async () => {
      const output = await sandbox.spawn(program, args, { env }).doneWithin(30_000, program);
      deepStrictEqual([output.code, output.stdout, output.stderr], [0, "", ""]);
    });
  }
});

Deno.test("completing leaves no trace, and says nothing where the registry can't be read", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const ask = (...words: string[]) => sandbox.run(["__complete", ...words]);
  const silent = { code: 0, stdout: "", stderr: "" };
  const names = () => [...Deno.readDirSync(`${sandbox.home}/.dev-sessions`)].map(({ name }) => name).sort();
  await t.step("no registry", async () => {
    const { code, stdout, stderr } = await ask("zsh", "send", "");
    deepStrictEqual({ code, stdout, stderr }, silent);
    deepStrictEqual([...Deno.readDirSync(sandbox.home)], []);
  });
  await t.step("no HOME", async () => {
    const { code, stdout, stderr } = await sandbox.run(["__complete", "fish", "kill", ""], {
      env: { HOME: undefined },
    });
    deepStrictEqual({ code, stdout, stderr }, silent);
  });
  await t.step("a registry at rest, and one in use", async () => {
    const id = await created(sandbox);
    const before = names();
    match((await ask("zsh", "send", "")).stdout, new RegExp(`^words\n${id}\t`));
    deepStrictEqual(names(), before);
    await using following = sandbox.start(["events", "--follow"]);
    await sandbox.eventually(() => names().includes("dev-sessions.db-wal"), { what: "the registry is open" });
    match((await ask("zsh", "send", "")).stdout, new RegExp(`^words\n${id}\t`));
    await following.end();
  });
  await t.step("a session whose agent has died is left as it is", async () => {
    const before = rows(sandbox);
    await sandbox.tmux("kill-server");
    await ask("zsh", "send", "");
    deepStrictEqual(rows(sandbox), before);
  });
  await t.step("a damaged registry", async () => {
    await Deno.writeTextFile(registryFile(sandbox), "no database");
    const { code, stdout, stderr } = await ask("bash", "dev-sessions send ", "");
    deepStrictEqual({ code, stdout, stderr }, silent);
    strictEqual(await Deno.readTextFile(registryFile(sandbox)), "no database");
  });
});
