/** One engine that several registries use: each removes what it has left itself, and nothing else. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { cliCommand } from "../support/harness.ts";
import { createSession, step } from "../support/live_session.ts";
import { engineTest, IMAGE } from "./docker_engine.ts";
import { createDockerSandbox } from "./docker_sandbox.ts";

const DOCKER = ["--mode", "docker"];
/** Runs a command where another folder is at the place of the usual one, for this command alone. */
const ELSEWHERE = 'mount --make-rprivate / && mount --bind "$1" "$2" && shift 2 && exec "$@"';

engineTest("an engine that two machines use, whose state folders have the same path", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;
  const state = join(sandbox.home, ".dev-sessions");
  const session = await createSession(sandbox, DOCKER);
  const live = await engine.containers();
  strictEqual(live.length, 1);
  const label = (name: string) =>
    engine.docker("inspect", "--format", `{{index .Config.Labels "${name}"}}`, live[0]!);
  const registry = (await label("dev-sessions.registry")).trim();
  match(registry, /^[0-9a-f-]{36}$/);

  await step(t, "a create of the other one leaves the first one's container alone", async () => {
    const other = await sandbox.folder("other-machine");
    await Deno.chmod(other, 0o700);
    await Deno.copyFile(join(state, "config.json"), join(other, "config.json"));
    const create = [...cliCommand(), "create", "-q", ...DOCKER, "-p", sandbox.workspace];
    const made = await sandbox.spawn("unshare", ["-m", "sh", "-c", ELSEWHERE, "sh", other, state, ...create])
      .done();
    // It came as far as the engine, which has the first machine's files only.
    strictEqual(made.code, 1);
    match(made.stderr, /docker does not make its container: .*bind source path does not exist/);
    deepStrictEqual(await engine.containers(), live);
    strictEqual(await session.expect(0, "status"), "idle");
  });

  await step(
    t,
    "what this registry has left is removed by its next create, what is not its own is not",
    async () => {
      const make = async (...labels: readonly string[]) => {
        const args = ["dev-sessions.token=11111111-2222-4333-8444-555555555555", ...labels];
        const made = ["create", ...args.flatMap((label) => ["--label", label]), IMAGE, "true"];
        return (await engine.docker(...made)).trim();
      };
      await make(`dev-sessions.registry=${registry}`);
      // As an earlier version marked them, and one that says nothing.
      const others = [await make(`dev-sessions.registry=${state}`), await make()];
      const second = await createSession(sandbox, DOCKER);
      const { id } = JSON.parse(await second.expect(0, "inspect")).handle.container;
      deepStrictEqual((await engine.containers()).sort(), [live[0]!, id, ...others].sort());
      for (const one of others) await engine.docker("rm", one);
      await second.expect(0, "kill");
      deepStrictEqual(await engine.containers(), live);
    },
  );
  await session.expect(0, "kill");
});
