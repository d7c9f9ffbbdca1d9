/** The configuration file as `create` and `resume` meet it: its defaults, its limits, and what is wrong with it. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import {
  agentPid,
  agents,
  argumentsOf,
  assertNothingLeft,
  created,
  json,
  rows,
  tmuxSessions,
} from "../support/sandbox_state.ts";

async function configure(sandbox: Sandbox, config: unknown): Promise<string> {
  const file = join(sandbox.home, ".dev-sessions", "config.json");
  await Deno.mkdir(join(file, ".."), { recursive: true });
  await Deno.writeTextFile(file, typeof config === "string" ? config : JSON.stringify(config));
  return file;
}

Deno.test("create takes from the configuration what no flag says", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await configure(sandbox, { defaults: { cli: "claude", mode: "native", model: "opus" } });
  const [usual, other] = [
    await json(sandbox, ["create", "--trust"]),
    await json(sandbox, ["create", "-m", "yolo", "--model", "haiku"]),
  ];
  deepStrictEqual([usual["mode"], usual["model"]], ["native", "opus"]);
  deepStrictEqual([other["mode"], other["model"]], ["yolo", "haiku"]);
  const args = argumentsOf(agentPid(sandbox, String(usual["id"])));
  strictEqual(args[args.indexOf("--model") + 1], "opus");
  // Left out, a flag means the same as the default that it falls back to.
  const keyed = await json(sandbox, ["create", "--key", "k", "--trust"]);
  const again = await json(sandbox, ["create", "--key", "k", "--trust", "-m", "native", "--model", "opus"]);
  deepStrictEqual([again["id"], again["repeated"]], [keyed["id"], true]);
});

Deno.test("a configuration that is wrong stops what needs it before anything has changed, and nothing else", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  const ended = await created(sandbox);
  strictEqual((await sandbox.run(["kill", ended])).code, 0);
  const before = rows(sandbox);
  const file = await configure(sandbox, { maxSession: 3 });
  const table: [config: unknown, why: string][] = [
    [
      { maxSession: 3 },
      'there is no key "maxSession". The keys are endIdleAfter, maxSessions, maxDepth, gatewayHosts, defaults, docker',
    ],
    [{ defaults: { mode: "tmux" } }, '"defaults.mode" is "tmux". It must be "yolo" or "native" or "docker"'],
  ];
  for (const [config, why] of table) {
    await configure(sandbox, config);
    for (const args of [["create"], ["create", "--key", "k"], ["resume", ended], ["list"]]) {
      const { code, stdout, stderr } = await sandbox.run(args);
      deepStrictEqual([code, stdout, stderr], [
        1,
        "",
        `Cannot use the configuration "${file}": ${why}\n`,
      ]);
    }
  }
  await configure(sandbox, '{"maxSessions": 3');
  match(
    (await sandbox.run(["create"])).stderr,
    /config\.json": it is not valid JSON \(.*\)\. Correct or remove it\n$/,
  );
  deepStrictEqual(rows(sandbox), before);
  strictEqual((await sandbox.run(["status", id])).stdout, "idle\n");
  strictEqual((await sandbox.run(["ask", id, "hello"])).code, 0);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  await configure(sandbox, {});
  strictEqual((await sandbox.run(["create", "--key", "k"])).code, 0);
});

Deno.test("at most maxSessions live, however many are created at once; the dead don't count", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const file = await configure(sandbox, { maxSessions: 4 });
  const all = await Promise.all(Array.from({ length: 12 }, () => sandbox.run(["create", "-q"])));
  const ids = all.flatMap(({ code, stdout }) => code === 0 ? [stdout.trim()] : []);
  strictEqual(ids.length, 4, all.map(({ stderr }) => stderr).join());
  for (const { code, stderr } of all) {
    if (code === 0) continue;
    strictEqual(code, 8);
    strictEqual(
      stderr,
      "Cannot create a session: 4 sessions are live, and the limit is 4. See them with: dev-sessions list. End some " +
        `with: dev-sessions kill <id>. Or raise the limit with "maxSessions" in ${file}\n`,
    );
  }
  deepStrictEqual((await tmuxSessions(sandbox)).sort(), ids.map((id) => `dev-${id}`).sort());

  // One more is refused while all live, a repetition by key included, and let in as soon as one is dead.
  strictEqual((await sandbox.run(["create", "--key", "k"])).code, 8);
  const [dead = "", killed = ""] = ids;
  signal(agentPid(sandbox, dead), "SIGKILL");
  await sandbox.eventually(async () => (await agents(sandbox)).length === 3, { what: "one is dead" });
  await created(sandbox, ["--key", "k"]);
  const { code, stderr } = await sandbox.run(["resume", dead]);
  strictEqual(code, 8);
  match(stderr, /^Cannot resume "[a-z-]+": 4 sessions are live, and the limit is 4\. /);
  strictEqual((await sandbox.run(["kill", killed])).code, 0);
  strictEqual((await sandbox.run(["resume", dead])).code, 0);
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
});

Deno.test("families grow to maxDepth only", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await configure(sandbox, { maxDepth: 2 });
  let parent: string | undefined;
  const family: string[] = [];
  for (let depth = 0; depth <= 2; depth++) {
    parent = await created(sandbox, [], { env: { DEV_SESSIONS_ID: parent } });
    family.push(parent);
  }
  const tooDeep = await sandbox.run(["create"], { env: { DEV_SESSIONS_ID: parent } });
  strictEqual(tooDeep.code, 8);
  match(
    tooDeep.stderr,
    /^Cannot create a session: it would be 3 steps from the first session of its family, and the limit is 2\. Raise it with "maxDepth" in .*config\.json\n$/,
  );
  strictEqual(rows(sandbox).length, 3);
  // A sibling has room, and ended parents count as long as they are known.
  strictEqual((await sandbox.run(["kill", family[0]!])).code, 0);
  await created(sandbox, [], { env: { DEV_SESSIONS_ID: family[1] } });
  strictEqual((await sandbox.run(["create"], { env: { DEV_SESSIONS_ID: parent } })).code, 8);
  strictEqual((await sandbox.run(["prune", family[0]!])).code, 0);
  await created(sandbox, [], { env: { DEV_SESSIONS_ID: parent } });
  await configure(sandbox, { maxDepth: 0 });
  strictEqual((await sandbox.run(["create"], { env: { DEV_SESSIONS_ID: family[1] } })).code, 8);
  await created(sandbox);
});

Deno.test("a create that is kept out leaves nothing", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await configure(sandbox, { maxSessions: 1 });
  const id = await created(sandbox);
  strictEqual((await sandbox.run(["create"])).code, 8);
  deepStrictEqual(rows(sandbox), [`${id} active`]);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  strictEqual((await sandbox.run(["prune", id])).code, 0);
  await assertNothingLeft(sandbox);
});
