/** Every example of the skills, run as it stands, in each shell that an agent may have. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { SKILLS } from "../../lib/skills.ts";
import { createSandbox, type RunOutput, type Sandbox } from "../support/harness.ts";
import { writeCommand } from "../support/live_session.ts";
import { commit, git, makeRepository } from "../support/repository.ts";
import { type SkillBlock, skillBlocks } from "../support/skill_blocks.ts";

const SHELLS = ["bash", "dash", "zsh"];
const BLOCK_MS = 60_000;

/** What the examples work on. */
class World {
  /** Stand in the examples for what an agent has read in earlier output. */
  readonly vars: Record<string, string> = {};
  constructor(readonly sandbox: Sandbox, readonly shell: string) {}

  async run(...args: string[]): Promise<RunOutput> {
    return await this.sandbox.run(args);
  }

  /** `dev-sessions` with exit code 0; its stdout. */
  async did(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    strictEqual(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout.trimEnd();
  }

  /** A new session, which from now on is `$id`. */
  async session(...args: string[]): Promise<string> {
    return this.vars["id"] = await this.did("create", "-q", ...args);
  }

  /** A new session that asks for something. */
  async asking(script: string): Promise<void> {
    const id = await this.session("--message", script);
    const { code, stdout } = await this.run("wait", id, "-t", "30");
    deepStrictEqual([code, stdout], [5, "waiting_for_input\n"]);
  }

  /** A new session whose turn lasts until the test ends. */
  async working(...args: string[]): Promise<void> {
    await this.session("--message", "SCRIPT:gate /nowhere/gate", ...args);
    await this.sandbox.eventually(
      async () => await this.did("status", this.vars["id"]!) === "working",
      { what: `${this.vars["id"]} works` },
    );
  }

  /** Session `name` of a group, by its description. */
  async part(group: string, name: string): Promise<string> {
    const listed = JSON.parse(await this.did("list", "--group", group, "--json"));
    return listed.find(({ description }: { description: string }) => description === name).id;
  }

  /** The file is the first message that the session got, complete. */
  async wasBriefed(id: string, file: string): Promise<void> {
    const [first] = JSON.parse(await this.did("logs", id, "--json"));
    deepStrictEqual([first.role, first.text], ["human", (await Deno.readTextFile(file)).trimEnd()]);
  }

  async ended(id: string): Promise<void> {
    strictEqual(JSON.parse(await this.did("inspect", id)).lifecycle, "ended");
  }
}

interface Example {
  readonly name: string;
  /** What must be so before. */
  readonly given?: (world: World) => Promise<unknown>;
  readonly code?: number;
  readonly stdout?: RegExp;
  readonly stderr?: RegExp;
  /** What must be so then. */
  readonly then?: (world: World, output: RunOutput) => Promise<unknown>;
}

const CONTEXT: Example = {
  name: "Check the context first",
  stdout: /^\/.*\/dev-sessions\n\d+\.\d+\.\d+\nsession: none, container: 0\n/,
};
const ID = /^[a-z]+(?:-[a-z]+)?-(?:top|jg|mid|adc|sup)\n$/;

const DEV_SESSIONS: readonly Example[] = [
  CONTEXT,
  {
    name: "The main job",
    stdout: ID,
    then: async (world, { stdout }) => {
      const id = world.vars["id"] = stdout.trim();
      match(await world.did("logs", id), /^\[HUMAN\]\nAdd a login form to src\/login\.ts\. Run the tests\./);
    },
  },
  { name: "The main job 2", stdout: /^completed\n$/ },
  { name: "The main job 3", stdout: /^REPLY: Add a login form/ },
  {
    name: "The main job 4",
    stdout: /^Sent message to /,
    then: async (world) => {
      strictEqual(await world.did("wait", world.vars["id"]!), "completed");
      match(
        await world.did("last-message", world.vars["id"]!),
        /^REPLY: Now write the tests of the form\.\nCover/,
      );
    },
  },
  { name: "The main job 5", stdout: /^Killed session /, then: (world) => world.ended(world.vars["id"]!) },
  {
    name: "Long waits",
    given: (world) => world.session("--message", "hello"),
    then: (world) =>
      world.sandbox.eventually(
        async () =>
          await Deno.readTextFile(join(world.sandbox.root, "tmp", `wait-${world.vars["id"]}.txt`)) ===
            "completed\n",
        { what: "the outcome in the file" },
      ),
  },
  { name: "Long waits 2", stdout: /^REPLY: Which files did you change\?/, stderr: /receipt r-[0-9a-f]+/ },
  {
    name: "Several agents",
    given: (world) => makeRepository(world.sandbox),
    stdout: new RegExp(`^(?:${ID.source.slice(1, -3)}\n){3}$`),
    then: async (world) => {
      const listed = JSON.parse(await world.did("list", "--group", "api", "--json"));
      deepStrictEqual(
        listed.map(({ description }: { description: string }) => description),
        ["users", "orders", "search"],
      );
      const id = await world.part("api", "orders");
      match(await world.did("logs", id), /^\[HUMAN\]\nWrite the missing tests of orders and run them\./);
      match(JSON.parse(await world.did("inspect", id)).worktree.path, new RegExp(`ws\\.worktrees/${id}$`));
    },
  },
  { name: "Several agents 2", stdout: /^(?:\S+\tcompleted\n){3}$/ },
  {
    name: "Several agents 3",
    given: async (world) => {
      await world.working();
      world.vars["first"] = world.vars["id"]!;
      world.vars["second"] = await world.part("api", "users");
    },
    stdout: /^\S+\tcompleted\n$/,
  },
  {
    name: "Several agents 4",
    stdout: /^(?:\S+\tsubmitted\n){3}(?:\S+\t(?:working|idle)\n){3}==> .*[\s\S]*Killed 3 session\(s\)\n/,
  },
  {
    name: "Questions and permissions",
    given: (world) => world.asking("SCRIPT:permission touch x"),
    stdout:
      /^waiting_for_input\n[\s\S]*permission \(Bash: touch x\)[\s\S]*dev-sessions respond \S+ --approve\n$/,
  },
  { name: "Questions and permissions 2", stdout: /^Approved a permission \(Bash: touch x\) for / },
  {
    name: "Questions and permissions 3",
    given: (world) => world.asking("SCRIPT:permission touch y"),
    stdout: /^Denied a permission \(Bash: touch y\) for /,
    then: async (world) => {
      strictEqual(await world.did("wait", world.vars["id"]!), "completed");
      match(await world.did("last-message", world.vars["id"]!), /Use the staging database instead$/);
    },
  },
  {
    name: "Questions and permissions 4",
    given: (world) => world.asking("SCRIPT:ask"),
    stdout: /^Answered "Blue" for /,
  },
  {
    name: "Questions and permissions 5",
    given: (world) => world.asking("SCRIPT:ask"),
    stdout: /^Answered "Neither of them: keep both" for /,
  },
  {
    name: "Look and steer",
    given: async (world) => strictEqual(await world.did("wait", world.vars["id"]!), "completed"),
    stdout: /^ID +CLI [\s\S]*\nidle\n[\s\S]*\[ASSISTANT\]\n[\s\S]*"type":"turn_completed"\}\nID +INPUT /,
  },
  { name: "Look and steer 2", given: (world) => world.working(), stdout: /^Interrupted / },
  {
    name: "Look and steer 3",
    given: (world) => world.working(),
    stdout: /^Sent message to /,
    then: async (world) => {
      strictEqual(await world.did("wait", world.vars["id"]!), "completed");
      match(await world.did("last-message", world.vars["id"]!), /^REPLY: Leave the database alone\./);
    },
  },
  {
    name: "Worktrees",
    given: async (world) => {
      const id = await world.session("--worktree");
      await commit(world.sandbox, `${world.sandbox.workspace}.worktrees/${id}`, "form.txt");
    },
    stdout: /"worktree": \{[\s\S]*Fast-forward[\s\S]*Killed session \S+\nRemoved worktree \/.*\n/,
    then: async (world) => ok((await Deno.stat(join(world.sandbox.workspace, "form.txt"))).isFile),
  },
];

const HANDOFF: readonly Example[] = [
  { ...CONTEXT, name: "Check the context" },
  {
    name: "Bring your work into a state that can be taken over",
    given: (world) => makeRepository(world.sandbox),
    stdout: /^\/.*\/ws\n## main\n[0-9a-f]+ write a\.txt\n/,
  },
  {
    name: "Write the brief",
    stdout: /^\/\S+\n$/,
    then: (world, { stdout }) => Promise.resolve(world.vars["brief"] = stdout.trim()),
  },
  {
    name: "Start the new session",
    then: async (world, { stdout }) => {
      const { id, send, path } = JSON.parse(stdout);
      world.vars["id"] = id;
      deepStrictEqual([send.result, path], ["submitted", world.sandbox.workspace]);
      await world.wasBriefed(id, world.vars["brief"]!);
    },
  },
  {
    name: "Prove it",
    stdout: /^\[HUMAN\]\nYou take over this work[\s\S]*\n# Verified\n[\s\S]*\n(?:idle|working)\n$/,
  },
];

const DELEGATE: readonly Example[] = [
  {
    ...CONTEXT,
    name: "Check the context",
    stdout: new RegExp(`${CONTEXT.stdout!.source}No active sessions\n$`),
  },
  {
    name: "Brief and start",
    stdout: /^\/\S+\n$/,
    then: (world, { stdout }) => Promise.resolve(world.vars["briefs"] = stdout.trim()),
  },
  {
    name: "Brief and start 2",
    given: (world) => makeRepository(world.sandbox),
    stdout: new RegExp(`^(?:${ID.source.slice(1, -3)}\n){2}$`),
    then: async (world) => {
      for (const part of ["users", "orders"]) {
        const id = await world.part("tests", part);
        await world.wasBriefed(id, join(world.vars["briefs"]!, `${part}.md`));
      }
    },
  },
  { name: "Supervise", stdout: /^(?:\S+\tcompleted\n){2}$/ },
  {
    name: "Supervise 2",
    given: async (world) => {
      world.vars["first"] = await world.part("tests", "users");
      world.vars["second"] = await world.part("tests", "orders");
    },
    stdout: /^\S+\tcompleted\n$/,
  },
  {
    name: "Supervise 3",
    given: (world) => world.asking("SCRIPT:ask"),
    stdout: /^waiting_for_input\n[\s\S]*Which colour\?[\s\S]*\nAnswered "Red" for /,
  },
  { name: "Supervise 4", given: (world) => world.working(), stdout: /^Sent message to / },
  { name: "Supervise 5", stdout: /^(?:\S+\tsubmitted\n){2}$/ },
  {
    name: "Collect and verify",
    given: (world) => world.did("wait", "@tests"),
    stdout: /^==> \S+ <==\nREPLY: The test database is on port 5433\.[\s\S]*\n==> /,
  },
  {
    name: "Collect and verify 2",
    given: async (world) => {
      const id = world.vars["id"] = await world.part("tests", "users");
      await commit(world.sandbox, `${world.sandbox.workspace}.worktrees/${id}`, "users_test.txt");
    },
    stdout: /^[0-9a-f]+ write users_test\.txt\ndiff --git a\/users_test\.txt [\s\S]*\n\+users_test\.txt\n$/,
  },
  {
    name: "Collect and verify 3",
    then: async ({ sandbox }) =>
      strictEqual(await git(sandbox, sandbox.workspace, "log", "-1", "--format=%s"), "write users_test.txt"),
  },
  {
    name: "Clean up and report",
    stdout: /^ID +INPUT [\s\S]*\nKilled 2 session\(s\)\n(?:Removed worktree .*\n){2}/,
  },
];

const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  "dev-sessions": DEV_SESSIONS,
  "handoff": HANDOFF,
  "delegate": DELEGATE,
};

async function check(world: World, { script }: SkillBlock, example: Example): Promise<void> {
  const { given, code = 0, stdout = /^/, stderr = /^/, then } = example;
  await given?.(world);
  const strict = code === 0 ? ["-e", "-u"] : ["-u"];
  const running = world.sandbox.spawn(world.shell, [...strict, "-c", script], { env: world.vars });
  const output = await running.doneWithin(BLOCK_MS, script);
  const shown = `${script}\nstdout: ${output.stdout}\nstderr: ${output.stderr}`;
  strictEqual(output.code, code, shown);
  ok(stdout.test(output.stdout), `stdout is not ${stdout}: ${shown}`);
  ok(stderr.test(output.stderr), `stderr is not ${stderr}: ${shown}`);
  await then?.(world, output);
}

for (const { name, text } of SKILLS) {
  const blocks = skillBlocks(text);
  const examples = EXAMPLES[name] ?? [];

  Deno.test(`every example of the skill ${name} is known to this test`, () => {
    deepStrictEqual(examples.map((example) => example.name), blocks.map((block) => block.name));
  });

  for (const shell of SHELLS) {
    Deno.test(`the examples of the skill ${name} do in ${shell} what the skill says`, async (t) => {
      await using sandbox = await createSandbox({ agent: "stub" });
      await writeCommand(sandbox);
      const world = new World(sandbox, shell);
      sandbox.env["TMPDIR"] = await sandbox.folder("tmp");
      for (const [index, example] of examples.entries()) {
        // Each goes on where the one before it ended.
        if (!await t.step(example.name, () => check(world, blocks[index]!, example))) break;
      }
    });
  }
}
