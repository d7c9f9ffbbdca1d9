/** Creates that are repeated with a key, or run at once: each makes its own session, exactly once. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createSandbox } from "../support/harness.ts";
import {
  agents,
  assertNothingLeft,
  created,
  json,
  rows,
  sessionFolders,
  tmuxSessions,
} from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

const PARALLEL_CREATES = 20;

Deno.test("create --key makes one session, however often it is repeated", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const first = await json(sandbox, ["create", "--key", "job 1", "-d", "one"]);
  strictEqual(first["repeated"], false);
  const again = await json(sandbox, ["create", "--key", "job 1", "-d", "one"]);
  deepStrictEqual([again["id"], again["repeated"]], [first["id"], true]);
  // How long to wait is not what makes the request.
  strictEqual(
    await created(sandbox, ["--key", "job 1", "-d", "one", "--ready-timeout", "5"]),
    first["id"],
  );
  const other = await sandbox.run(["create", "--key", "job 1", "-d", "two"]);
  strictEqual(other.code, 2);
  match(other.stderr, /^Cannot create with key "job 1": it was used for another request\. .*\n$/);

  strictEqual((await sandbox.run(["kill", String(first["id"])])).code, 0);
  const ended = await json(sandbox, ["create", "--key", "job 1", "-d", "one"]);
  deepStrictEqual([ended["id"], ended["lifecycle"], ended["repeated"]], [first["id"], "ended", true]);
  strictEqual(rows(sandbox).length, 1);
});

Deno.test("create --key that failed can be repeated", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const failed = await sandbox.run(["create", "--key", "k"], { env: { STUB_AGENT: "die-at-once=1" } });
  strictEqual(failed.code, 1);
  await assertNothingLeft(sandbox);
  strictEqual((await json(sandbox, ["create", "--key", "k"]))["repeated"], false);
});

Deno.test("create --key at once by several commands makes one session", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const results = await Promise.all(
    Array.from({ length: 5 }, () => json(sandbox, ["create", "--key", "k"])),
  );
  strictEqual(new Set(results.map((result) => result["id"])).size, 1);
  strictEqual(results.filter((result) => result["repeated"] === false).length, 1);
  strictEqual((await agents(sandbox)).length, 1);
});

Deno.test("create --key whose first command was killed is done by the second", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const gate = await gateTmux(sandbox, "display-message", "before");
  await using first = sandbox.start(["create", "--key", "k"]);
  await gate.reached();
  await using second = sandbox.start(["create", "--key", "k", "--json"]);
  first.kill("SIGKILL");
  const { code, stdout, stderr } = await second.doneWithin(20_000, "the second create");
  strictEqual(code, 0, stderr);
  const record = JSON.parse(stdout);
  strictEqual(record.repeated, false);
  await gate.open();
  strictEqual(await created(sandbox, ["--key", "k"]), record.id);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${record.id}`]);
  deepStrictEqual(rows(sandbox), [`${record.id} active`]);
  strictEqual(sessionFolders(sandbox).length, 1);
});

Deno.test(`${PARALLEL_CREATES} creates at once: none fails, none is lost, no id twice`, async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const outputs = await Promise.all(
    Array.from({ length: PARALLEL_CREATES }, () => sandbox.run(["create", "-q"])),
  );
  for (const { code, stderr } of outputs) {
    strictEqual(code, 0, stderr);
    strictEqual(stderr, "");
  }
  const ids = outputs.map(({ stdout }) => stdout.trim()).sort();
  strictEqual(new Set(ids).size, PARALLEL_CREATES);
  const listed = await json<{ id: string; state: string }[]>(sandbox, ["list"]);
  deepStrictEqual(listed.map(({ id, state }) => `${id} ${state}`).sort(), ids.map((id) => `${id} idle`));
  deepStrictEqual(await tmuxSessions(sandbox), ids.map((id) => `dev-${id}`));
  strictEqual((await agents(sandbox)).length, PARALLEL_CREATES);

  const killed = await sandbox.run(["kill", "--all"]);
  strictEqual(killed.code, 0, killed.stderr);
  match(killed.stdout, new RegExp(`\nKilled ${PARALLEL_CREATES} session\\(s\\)\n$`));
  deepStrictEqual(await tmuxSessions(sandbox), []);
  strictEqual((await agents(sandbox)).length, 0);
});
