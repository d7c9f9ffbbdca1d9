/** `install-skill` on real folders: what it writes and removes, what it leaves alone, and what it refuses as a whole. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { SKILLS, skillStates, stamped } from "../../lib/skills.ts";
import { createSandbox, type RunOutput, type RunSettings, type Sandbox } from "../support/harness.ts";

const NAMES = SKILLS.map(({ name }) => name);
const SECRET = "my own words\n";

function file(folder: string, name: string): string {
  return join(folder, "skills", name, "SKILL.md");
}

function installed(folder: string, sentence = "Installed skill"): string {
  return NAMES.map((name) => `${sentence}: ${name} → ${file(folder, name)}\n`).join("");
}

async function install(
  sandbox: Sandbox,
  args: string[] = [],
  settings: RunSettings = {},
): Promise<RunOutput> {
  return await sandbox.run(["install-skill", ...args], settings);
}

async function expectText(output: Promise<RunOutput>, stdout: string): Promise<void> {
  const { code, stdout: got, stderr } = await output;
  deepStrictEqual([code, got, stderr], [0, stdout, ""]);
}

/** Every file below a folder with its content. */
async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isSymlink) found[path] = `-> ${await Deno.readLink(path)}`;
    else if (isDirectory) Object.assign(found, { [path]: "folder" }, await contents(path));
    else found[path] = await Deno.readTextFile(path);
  }
  return found;
}

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, text);
}

/** As another version installs it. */
async function writeEarlier(path: string): Promise<void> {
  await write(path, await stamped("---\nname: handoff\n---\nearlier\n"));
}

Deno.test("the skills go where the agents that are set up look for them, and come away again", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [claude, codex] = [join(sandbox.home, ".claude"), join(sandbox.home, ".codex")];

  await t.step("Claude Code, when there is none", async () => {
    const note = "No ~/.claude or ~/.codex found; defaulting to Claude Code.\n";
    await expectText(install(sandbox, ["--dry-run"]), note + installed(claude, "Would install skill"));
    deepStrictEqual(await contents(sandbox.home), {});
    await expectText(install(sandbox), note + installed(claude));
    for (const { name, text } of SKILLS) {
      strictEqual(await Deno.readTextFile(file(claude, name)), await stamped(text));
      const { mode } = await Deno.stat(file(claude, name));
      strictEqual((mode ?? 0) & 0o777, 0o666 & ~Deno.umask());
    }
  });

  await t.step("a second time there is nothing to do", async () => {
    const before = (await Deno.stat(file(claude, "handoff"))).mtime;
    await expectText(install(sandbox), installed(claude, "Skill is current"));
    deepStrictEqual((await Deno.stat(file(claude, "handoff"))).mtime, before);
  });

  await t.step("both, when both are there", async () => {
    await Deno.mkdir(codex);
    await expectText(install(sandbox), installed(claude, "Skill is current") + installed(codex));
  });

  await t.step("the folder of a repository", async () => {
    await expectText(
      install(sandbox, ["--local"]),
      [".claude", ".codex"].map((name) => installed(join(sandbox.workspace, name))).join(""),
    );
    await expectText(
      install(sandbox, ["--local", "--codex", "--uninstall"]),
      installed(join(sandbox.workspace, ".codex"), "Removed skill"),
    );
    deepStrictEqual(await contents(join(sandbox.workspace, ".codex")), {
      [join(sandbox.workspace, ".codex", "skills")]: "folder",
    });
    ok((await Deno.stat(file(join(sandbox.workspace, ".claude"), "delegate"))).isFile);
  });

  await t.step("away again without naming the agent, also of one that is not set up here", async () => {
    const local = join(sandbox.workspace, ".codex");
    await Deno.remove(codex, { recursive: true });
    await expectText(install(sandbox, ["--local", "--codex"]), installed(local));
    await expectText(
      install(sandbox, ["--local", "--uninstall"]),
      [".claude", ".codex"].map((name) => installed(join(sandbox.workspace, name), "Removed skill")).join(""),
    );
    await expectText(install(sandbox, ["--local", "--uninstall"]), "No installed skills found\n");
    await expectText(install(sandbox, ["--codex"]), installed(codex));
    await expectText(
      install(sandbox, ["--uninstall"], { env: { CLAUDE_CONFIG_DIR: join(sandbox.root, "none") } }),
      installed(codex, "Removed skill"),
    );
    await expectText(install(sandbox, ["--codex"]), installed(codex));
  });

  await t.step("the folders that the agents were told to use", async () => {
    const env = { CLAUDE_CONFIG_DIR: join(sandbox.root, "cc"), CODEX_HOME: "cx" };
    await expectText(
      install(sandbox, ["--global"], { env }),
      `No ${join(sandbox.root, "cc")} or ${
        join(sandbox.workspace, "cx")
      } found; defaulting to Claude Code.\n` +
        installed(join(sandbox.root, "cc")),
    );
    await expectText(install(sandbox, ["--codex"], { env }), installed(join(sandbox.workspace, "cx")));
  });

  await t.step("not to two places at once", async () => {
    const { code, stdout, stderr } = await install(sandbox, ["--global", "--local"]);
    deepStrictEqual([code, stdout, stderr], [2, "", "Cannot use both --global and --local\n"]);
  });

  await t.step("uninstall removes files and their folders, and leaves what else is in them", async () => {
    await write(join(claude, "skills", "handoff", "notes.md"), SECRET);
    await write(file(claude, "mine"), SECRET);
    await expectText(
      install(sandbox, ["--uninstall", "--dry-run"]),
      installed(claude, "Would remove skill") + installed(codex, "Would remove skill"),
    );
    await expectText(
      install(sandbox, ["--uninstall"]),
      installed(claude, "Removed skill") + installed(codex, "Removed skill"),
    );
    const skills = join(claude, "skills");
    deepStrictEqual(await contents(skills), {
      [join(skills, "handoff")]: "folder",
      [join(skills, "handoff", "notes.md")]: SECRET,
      [join(skills, "mine")]: "folder",
      [file(claude, "mine")]: SECRET,
    });
    await expectText(install(sandbox, ["--uninstall"]), "No installed skills found\n");
  });
});

Deno.test("an earlier version is replaced, a changed skill is kept unless it is forced", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const claude = join(sandbox.home, ".claude");
  const states = async () =>
    (await skillStates({ agents: ["claude"], scope: "global", env: sandbox.env, cwd: "/" }))
      .map(({ state }) => state);
  const changed = file(claude, "delegate");
  await writeEarlier(file(claude, "handoff"));
  await Deno.chmod(file(claude, "handoff"), 0o640);
  await write(changed, SECRET);

  await t.step("install", async () => {
    deepStrictEqual(await states(), ["missing", "outdated", "changed"]);
    const { code, stdout, stderr } = await install(sandbox);
    strictEqual(code, 1);
    strictEqual(stdout, installed(claude).split("\n").slice(0, 2).join("\n") + "\n");
    strictEqual(
      stderr,
      `Cannot replace "${changed}": it was changed, or dev-sessions 0.4 or somebody else wrote it. ` +
        "If nothing in it is needed: dev-sessions install-skill --force\n",
    );
    deepStrictEqual(await states(), ["current", "current", "changed"]);
    strictEqual(await Deno.readTextFile(changed), SECRET);
    strictEqual(((await Deno.stat(file(claude, "handoff"))).mode ?? 0) & 0o777, 0o640);
  });

  await t.step("as JSON", async () => {
    const { code, stdout, stderr } = await install(sandbox, ["--json", "--claude"]);
    strictEqual(code, 1);
    deepStrictEqual(JSON.parse(stdout), {
      scope: "global",
      dryRun: false,
      skills: NAMES.map((name) => ({
        name,
        agent: "claude",
        path: file(claude, name),
        state: name === "delegate" ? "changed" : "current",
        action: name === "delegate" ? "kept" : "unchanged",
      })),
    });
    const { error } = JSON.parse(stderr);
    deepStrictEqual([error.code, error.exitCode], ["failure", 1]);
    match(error.message, /: dev-sessions install-skill --claude --force$/);
  });

  await t.step("uninstall", async () => {
    const { code, stdout, stderr } = await install(sandbox, ["--uninstall"]);
    strictEqual(code, 1);
    match(stdout, /^Removed skill: dev-sessions .*\nRemoved skill: handoff .*\n$/);
    match(stderr, /^Cannot remove .*: dev-sessions install-skill --uninstall --force\n$/);
    strictEqual(await Deno.readTextFile(changed), SECRET);
  });

  await t.step("forced", async () => {
    await expectText(install(sandbox, ["--force"]), installed(claude));
    deepStrictEqual(await states(), ["current", "current", "current"]);
    await Deno.writeTextFile(changed, SECRET, { append: true });
    await expectText(install(sandbox, ["--uninstall", "--force"]), installed(claude, "Removed skill"));
    deepStrictEqual(await contents(join(claude, "skills")), {});
  });
});

Deno.test("what can't be done for one skill is done for none", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const claude = join(sandbox.home, ".claude");
  const skills = join(claude, "skills");

  /** Runs it, expects this error and not a byte changed. */
  const refused = async (args: string[], error: RegExp, settings: RunSettings = {}) => {
    const before = await contents(sandbox.home);
    const { code, stdout, stderr } = await install(sandbox, args, settings);
    deepStrictEqual([code, stdout], [1, ""]);
    match(stderr, error);
    deepStrictEqual(await contents(sandbox.home), before);
  };
  const cleaned = async () => await Deno.remove(claude, { recursive: true });

  await t.step("a folder that is a file", async () => {
    await Deno.writeTextFile(claude, "");
    await refused(
      ["--claude"],
      new RegExp(`^Cannot install skill "dev-sessions" to "${file(claude, "dev-sessions")}": `),
    );
    await Deno.remove(claude);
    await write(join(skills, "delegate"), "");
    await refused([], /^Cannot install skill "delegate" to .*: Not a directory .*\. Nothing was changed\n$/);
    await cleaned();
  });

  await t.step("a folder where the file should be", async () => {
    await Deno.mkdir(file(claude, "delegate"), { recursive: true });
    for (const args of [[], ["--force"], ["--uninstall", "--force"]]) {
      await refused(
        args,
        /^Cannot (install|remove) skill "delegate" (to|at) .*: it is not a regular file\. Nothing was changed\n$/,
      );
    }
    await cleaned();
  });

  await t.step("a FIFO, which nobody opens", async () => {
    await Deno.mkdir(join(skills, "handoff"), { recursive: true });
    const made = await sandbox.spawn("mkfifo", [file(claude, "handoff")]).done();
    strictEqual(made.code, 0, made.stderr);
    const { code, stderr } = await install(sandbox);
    strictEqual(code, 1);
    match(stderr, /^Cannot install skill "handoff" .*: it is not a regular file\./);
    deepStrictEqual(await Array.fromAsync(Deno.readDir(skills), ({ name }) => name), ["handoff"]);
    await cleaned();
  });

  await t.step("a folder in which nothing can be written", async () => {
    // Not even root can make one there.
    await Deno.symlink("/proc/self", join(sandbox.root, "cc"));
    const env = { CLAUDE_CONFIG_DIR: join(sandbox.root, "cc") };
    await refused(
      ["--claude", "--codex"],
      /^Cannot install skill "dev-sessions" to ".*\/cc\/skills\/dev-sessions\/SKILL\.md": .*\. Nothing was changed\n$/,
      { env },
    );
  });

  await t.step("the second agent's folder: what was made for the first is taken back", async () => {
    await Deno.writeTextFile(join(sandbox.home, ".codex"), "");
    await refused(["--claude", "--codex"], /^Cannot install skill "dev-sessions" to ".*\/\.codex\/skills\//);
    await Deno.remove(join(sandbox.home, ".codex"));
  });

  await t.step("symbolic links in the place of a skill", async () => {
    const own = join(sandbox.home, "own", "SKILL.md");
    await writeEarlier(own);
    await Deno.mkdir(skills, { recursive: true });
    await Deno.symlink(join(sandbox.home, "own"), join(skills, "handoff"));
    await Deno.mkdir(join(skills, "delegate"));
    await Deno.symlink(own, file(claude, "delegate"));
    await Deno.mkdir(join(skills, "dev-sessions"));
    await Deno.symlink("nowhere", file(claude, "dev-sessions"));
    const error = new RegExp(
      `^Cannot install skill "dev-sessions" .*: "${
        file(claude, "dev-sessions")
      }" is a symbolic link\\. Remove it first\\. Nothing was changed\n` +
        `  Cannot install skill "handoff" .*: "${join(skills, "handoff")}" is .*\n` +
        `  Cannot install skill "delegate" .*: "${file(claude, "delegate")}" is .*\n$`,
    );
    await refused([], error);
    await refused(["--force"], error);
    await refused(["--uninstall", "--force"], /^Cannot remove skill "dev-sessions" at /);
    await cleaned();
  });
});

Deno.test("folders of skills that are links are followed, and one file is written once", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [claude, codex] = [join(sandbox.home, ".claude"), join(sandbox.home, ".codex")];
  const dotfiles = join(sandbox.home, "dotfiles");
  for (const folder of [claude, codex, dotfiles]) await Deno.mkdir(folder);
  await Deno.symlink("../dotfiles", join(claude, "skills"));
  await Deno.symlink("../dotfiles", join(codex, "skills"));
  await expectText(install(sandbox), installed(claude) + installed(codex));
  deepStrictEqual(Object.keys(await contents(dotfiles)).length, 2 * NAMES.length);
  await expectText(
    install(sandbox, ["--uninstall"]),
    installed(claude, "Removed skill") + installed(codex, "Removed skill"),
  );
  deepStrictEqual(await contents(dotfiles), {});

  // One skill of Codex is that of Claude Code.
  await Deno.remove(join(codex, "skills"));
  await Deno.mkdir(join(codex, "skills"));
  await Deno.symlink("../../.claude/skills/handoff", join(codex, "skills", "handoff"));
  await writeEarlier(file(claude, "handoff"));
  await expectText(install(sandbox), installed(claude) + installed(codex));
  ok((await Deno.lstat(join(codex, "skills", "handoff"))).isSymlink);
});

Deno.test("several at once leave whole files and nothing else", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const claude = join(sandbox.home, ".claude");
  const all = await Promise.all(Array.from({ length: 8 }, () => install(sandbox, ["--claude"])));
  for (const { code, stderr } of all) deepStrictEqual([code, stderr], [0, ""]);
  const expected: Record<string, string> = {};
  for (const { name, text } of SKILLS) {
    expected[join(claude, "skills", name)] = "folder";
    expected[file(claude, name)] = await stamped(text);
  }
  deepStrictEqual(await contents(join(claude, "skills")), expected);
});
