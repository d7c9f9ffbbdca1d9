/** `create --message` and `--render`: sent once, with a receipt, and refused before there is anything to undo. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { branches, git, makeRepository } from "../support/repository.ts";
import { assertNothingLeft, json, rows, sql } from "../support/sandbox_state.ts";
import { StubSession, withSession } from "../support/stub_session.ts";

async function prompts(sandbox: Sandbox): Promise<string[]> {
  const found: string[] = [];
  const folder = join(sandbox.root, "keys");
  for (const { name } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    for (const line of (await Deno.readTextFile(join(folder, name))).split("\n")) {
      const record = line === "" ? {} : JSON.parse(line);
      if (record.kind === "prompt") found.push(record.text);
    }
  }
  return found;
}

async function withKeys(body: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  await using sandbox = await createSandbox({ agent: "stub" });
  sandbox.env["STUB_AGENT"] = `keys=${join(sandbox.root, "keys")}`;
  await body(sandbox);
}

Deno.test("create --message prints its own line and that of send, and wait waits for it", () =>
  withKeys(async (sandbox) => {
    const made = await sandbox.run(["create", "--id", "fizz-top", "--message", "do it"]);
    deepStrictEqual([made.code, made.stdout, made.stderr], [
      0,
      "Created session fizz-top\nSent message to fizz-top\n",
      "",
    ]);
    strictEqual((await sandbox.run(["wait", "fizz-top", "-t", "30"])).stdout, "completed\n");
    deepStrictEqual(await prompts(sandbox), ["do it"]);
  }));

Deno.test("create --file - reads stdin; -q prints the id, --json the record with the receipt", () =>
  withKeys(async (sandbox) => {
    const quiet = await sandbox.run(["create", "-q", "--id", "fizz-top", "-f", "-"], {
      stdin: "from\nstdin",
    });
    deepStrictEqual([quiet.code, quiet.stdout, quiet.stderr], [0, "fizz-top\n", ""]);
    const record = await json(sandbox, ["create", "--message", "second"]);
    const { result, receipt, id } = record["send"] as Record<string, unknown>;
    deepStrictEqual([result, id], ["submitted", record["id"]]);
    match(String(receipt), /^r-[0-9a-f]{16}$/);
    const [stored] = sql(sandbox, "SELECT result FROM sends WHERE receipt = ?", String(receipt));
    strictEqual(stored?.["result"], "submitted");
    deepStrictEqual((await prompts(sandbox)).sort(), ["from\nstdin", "second"]);
  }));

Deno.test("create --key with a message starts one session and sends one message, however often it is repeated", () =>
  withKeys(async (sandbox) => {
    const args = ["create", "-q", "--key", "k1", "--message", "once"];
    // The session is there, its message was not sent: as when the first command was killed between the two.
    const [id] = (await sandbox.run(["create", "-q", "--key", "k1"])).stdout.split("\n");
    const all = await Promise.all([1, 2, 3].map(() => sandbox.run(args)));
    deepStrictEqual(all.map(({ code, stdout }) => [code, stdout]), all.map(() => [0, `${id}\n`]));
    const again = await json(sandbox, args);
    deepStrictEqual((again["send"] as Record<string, unknown>)["repeated"], true);
    deepStrictEqual(await prompts(sandbox), ["once"]);
    deepStrictEqual(rows(sandbox), [`${id} active`]);

    const other = await sandbox.run(["create", "-q", "--key", "k1", "--message", "another"]);
    deepStrictEqual([other.code, other.stdout], [2, `${id}\n`]);
    match(other.stderr, /it was used for another request/);
    deepStrictEqual(await prompts(sandbox), ["once"]);
  }));

Deno.test("a first message that can't be sent is refused before anything is created", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [["--message", " "], /^Message is required/],
    [["--message", "a", "--file", "b"], /^Provide either --message or --file, not both\n/],
    [["--file", "nowhere"], /^Cannot read the message from "nowhere": there is no such file\n/],
    [["--render"], /^--render belongs to --message and --file\n/],
    [["--message", "a", "--var", "x=1"], /^--var belongs to --render\n/],
    [["--message", "{{sesion.id}}", "--render"], /: \{\{sesion\.id\}\} on line 1 is unknown\./],
    [["--message", "{{session.group}}", "--render"], /: \{\{session\.group\}\} has no value here\n/],
    [["--message", "{{parent.id}}", "--render"], /: \{\{parent\.id\}\} has no value here\n/],
    [["--message", "{{var.a}}", "--render"], /: \{\{var\.a\}\} on line 1 has no value here/],
  ];
  for (const [args, message] of refusals) {
    await t.step({
      name: args.join(" "),
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        const { code, stdout, stderr } = await sandbox.run(["create", ...args]);
        deepStrictEqual([code, stdout], [2, ""]);
        match(stderr, message);
      },
    });
  }
  await t.step({
    name: "not UTF-8",
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const { code, stderr } = await sandbox.run(["create", "-f", "-"], {
        stdin: new Uint8Array([65, 0xff]),
      });
      strictEqual(code, 2);
      match(stderr, /^Cannot send stdin: it is not valid UTF-8 at byte 1\./);
    },
  });
  await assertNothingLeft(sandbox);
});

Deno.test("a first message that is not delivered leaves the session, and says so", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const text = "{{git.branch}}";
  const failed = await sandbox.run(["create", "--id", "fizz-top", "--render", "--message", text]);
  deepStrictEqual([failed.code, failed.stdout], [2, "Created session fizz-top\n"]);
  match(
    failed.stderr,
    /^Cannot render the message: \{\{git\.branch\}\} on line 1 has no value here: ".*" is in no git/,
  );
  match(failed.stderr, /\n {2}The session fizz-top was created and stays\n$/);
  strictEqual((await sandbox.run(["status", "fizz-top"])).stdout, "idle\n");

  const asJson = await sandbox.run(["create", "--json", "--render", "--message", text]);
  strictEqual(asJson.code, 2);
  strictEqual(JSON.parse(asJson.stdout).send, null);
  strictEqual(JSON.parse(asJson.stderr).error.exitCode, 2);
});

Deno.test("send --render fills what it knows; without it not one byte is touched", () =>
  withSession({ args: ["--group", "api"] }, async (session, sandbox) => {
    const base = await makeRepository(sandbox);
    const template =
      "{{session.id}} {{ session.path }} {{session.group}} {{git.branch}} {{git.head}} {{var.a b}}";
    await session.sent(template);
    strictEqual((await session.prompts()).at(-1), template);

    const before = new Date().toISOString().slice(0, 10);
    const good = template.replace("{{var.a b}}", "{{var.a}} \\{{date}} {{date}}");
    const rendered = await session.run("send", "--render", "--var", "a={{date}} =1", good);
    strictEqual(rendered.code, 0, rendered.stderr);
    const after = new Date().toISOString().slice(0, 10);
    const wanted = `${session.id} ${sandbox.workspace} api main ${base} {{date}} =1 {{date}}`;
    const got = (await session.prompts()).at(-1) ?? "";
    deepStrictEqual([got === `${wanted} ${before}` || got === `${wanted} ${after}`, got.startsWith(wanted)], [
      true,
      true,
    ]);

    await git(sandbox, sandbox.workspace, "checkout", "--quiet", "--detach");
    const count = (await session.prompts()).length;
    for (
      const [args, message] of [
        [["{{git.branch}}"], /\{\{git\.branch\}\} on line 1 has no value here: HEAD is on no branch/],
        [
          ["x\n{{parent.id}}"],
          /\{\{parent\.id\}\} on line 2 has no value here: no session has created this one/,
        ],
        [["--var", "a=1", "--var", "a=2", "{{var.a}}"], /^--var a was given more than once/],
        [["--var", "a", "{{var.a}}"], /^--var must be NAME=value, not "a"/],
      ] as const
    ) {
      const refused = await session.run("send", "--render", ...args);
      strictEqual(refused.code, 2, refused.stdout);
      match(refused.stderr, message);
    }
    strictEqual((await session.prompts()).length, count);
  }));

Deno.test("send --render with a key sends once, though what it renders to has changed", () =>
  withSession({}, async (session, sandbox) => {
    await makeRepository(sandbox);
    const args = ["--render", "--key", "k", "on {{git.branch}}"];
    const first = await session.json("send", ...args);
    deepStrictEqual([first.code, first.json.repeated], [0, false]);
    await git(sandbox, sandbox.workspace, "checkout", "--quiet", "-b", "other");
    const second = await session.json("send", ...args);
    deepStrictEqual([second.code, second.json.repeated, second.json.receipt], [0, true, first.json.receipt]);
    deepStrictEqual(await session.prompts(), ["on main"]);
    const another = await session.json("send", "--render", "--key", "k", "at {{git.branch}}");
    strictEqual(another.code, 2);
  }));

Deno.test("ask --render, and a session in a worktree whose first message names its branch", () =>
  withKeys(async (sandbox) => {
    await makeRepository(sandbox);
    const made = await json(sandbox, [
      "create",
      "--worktree",
      "--render",
      "--message",
      "work on {{git.branch}} in {{session.path}}",
    ]);
    const id = String(made["id"]);
    deepStrictEqual(await prompts(sandbox), [
      `work on dev-sessions/${id} in ${sandbox.workspace}.worktrees/${id}`,
    ]);
    deepStrictEqual(await branches(sandbox), [`dev-sessions/${id}`, "main"]);
    const asked = await sandbox.run(["ask", id, "--render", "who is {{session.id}}?", "-t", "30"]);
    strictEqual(asked.code, 0, asked.stderr);
    strictEqual((await prompts(sandbox)).at(-1), `who is ${id}?`);
  }));

Deno.test("usage of a session without a record of tokens is unknown, not none", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const session = await StubSession.create(sandbox);
  strictEqual((await session.json("inspect")).json.usage, null);
  deepStrictEqual(await json(sandbox, ["usage"]), [{ id: session.id, usage: null }]);
  match((await session.run("usage")).stdout, new RegExp(`\\n${session.id} +- +- +- +- +-`));
  strictEqual((await sandbox.run(["usage", "zed-mid"])).code, 3);
});
