/** Commands in a container whose connection breaks: taken up, repeated once, or told as it is. */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { US } from "../../lib/wire/handshake.ts";
import { realClock, realDeps } from "../../lib/real_deps.ts";
import { Calls } from "../../gateway/calls.ts";
import { openClient } from "../../gateway/client.ts";
import { ContainerWorld } from "../support/container_world.ts";
import { createSandbox } from "../support/harness.ts";
import { withSession } from "../support/stub_session.ts";

const SOON_MS = 20_000;

Deno.test("a send whose answer is lost is delivered once, and says so as if nothing had happened", () =>
  withSession({}, async (session, sandbox) => {
    await using world = await ContainerWorld.open(sandbox, {
      loses: (name, count) => name === "send" && count < 3,
    });
    const { code, stdout, stderr } = await world.run(["send", session.id, "once", "--json"]);
    deepStrictEqual([code, stderr], [0, ""]);
    deepStrictEqual([JSON.parse(stdout).result, JSON.parse(stdout).repeated], ["submitted", false]);
    strictEqual(world.server.asked.filter(({ operation }) => operation === "send").length, 3);
    strictEqual((await session.run("wait")).stdout, "completed\n");
    deepStrictEqual(await session.prompts(), ["once"]);
  }));

Deno.test("a create whose answer is lost makes one session, a kill whose answer is lost ends it once", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using world = await ContainerWorld.open(sandbox, {
    loses: (name, count) => (name === "create" || name === "kill") && count === 1,
  });
  const created = await world.run(["create", "--json"]);
  strictEqual(created.code, 0, created.stderr);
  strictEqual(JSON.parse(created.stdout).repeated, false);
  strictEqual((await world.service.list({ all: true, group: null })).length, 1);
  const { id } = JSON.parse(created.stdout);
  const killed = await world.run(["kill", id]);
  deepStrictEqual([killed.code, killed.stdout], [0, `Killed session ${id}\n`]);
  deepStrictEqual(
    world.server.asked.filter(({ operation }) => operation === "kill").map(({ again }) => again),
    [false, true],
  );
});

Deno.test("what a gateway that was started again does not know any more is unproven, not done again", () =>
  withSession({}, async (session, sandbox) => {
    let restarted = false;
    const world = await ContainerWorld.open(sandbox, {
      loses: (name) => {
        if (name !== "kill" || restarted) return false;
        restarted = true;
        return true;
      },
      calls: new class extends Calls {
        override serve(...[service, checked, attempt]: Parameters<Calls["serve"]>) {
          // After the loss: a memory without anything in it.
          return restarted
            ? new Calls(realClock).serve(service, checked, attempt)
            : super.serve(service, checked, attempt);
        }
      }(realClock),
    });
    await using _ = world;
    const { code, stdout, stderr } = await world.run(["kill", session.id]);
    deepStrictEqual([code, stdout], [9, ""]);
    match(stderr, /^Cannot tell what became of kill: its answer was lost/);
    strictEqual(world.server.asked.filter(({ operation }) => operation === "kill").length, 2);
  }));

Deno.test("wait, logs --follow and events --follow go on when the gateway is started again", () =>
  withSession({}, async (session, sandbox) => {
    await using world = await ContainerWorld.open(sandbox);
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    const waiting = world.start(["wait", session.id, "--timeout", "60"]);
    const events = world.start(["events", session.id, "--follow"]);
    const logs = world.start(["logs", session.id, "--follow"]);
    for (const name of ["wait", "events", "logs"]) await world.asked(name);
    await sandbox.eventually(
      () => events.stdout.includes("turn_started") && logs.stdout.includes("[HUMAN]"),
      {
        what: "both print what there is",
      },
    );
    await world.server.cut();
    await gate.open();
    strictEqual((await session.run("wait")).stdout, "completed\n");
    await world.restart();

    const waited = await waiting.doneWithin(SOON_MS, "wait");
    deepStrictEqual([waited.code, waited.stdout], [0, "completed\n"]);
    match(
      waited.stderr,
      /^\[dev-sessions\] lost the connection to the gateway \S+ \([^)]+\); trying to get it back\n\[dev-sessions\] the gateway \S+ can be reached again\n$/,
    );
    await sandbox.eventually(
      () => events.stdout.includes("turn_completed") && logs.stdout.includes("[ASSISTANT]"),
      { what: "both have gone on" },
    );
    strictEqual((await session.run("kill")).code, 0);
    const followed = await events.doneWithin(SOON_MS, "events");
    strictEqual(followed.code, 0, followed.stderr);
    const types = followed.stdout.trim().split("\n").map((line) => JSON.parse(line).type);
    deepStrictEqual(types, ["session_created", "turn_started", "message", "turn_completed", "session_ended"]);
    const log = await logs.doneWithin(SOON_MS, "logs");
    deepStrictEqual(log.stdout.match(/^\[\w+\]$/gm), ["[HUMAN]", "[ASSISTANT]"]);
  }));

Deno.test("Ctrl-C ends a wait, and rolls a create back", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=60000"] });
  await using world = await ContainerWorld.open(sandbox);
  const creating = world.start(["create"]);
  await sandbox.eventually(
    async () => (await world.service.list({ all: true, group: null })).length === 1,
    { what: "the session is being created" },
  );
  creating.kill("SIGINT");
  const { code, stdout } = await creating.doneWithin(SOON_MS, "create");
  deepStrictEqual([code, stdout], [130, ""]);
  deepStrictEqual(await world.service.list({ all: true, group: null }), []);
});

Deno.test("a gateway that takes the connection and says nothing holds up nobody who has stopped waiting", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using world = await ContainerWorld.open(sandbox);
  using silent = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const env = { DEV_SESSIONS_GATEWAY_URL: `http://127.0.0.1:${silent.addr.port}` };
  for (const args of [["wait", "fizz-top"], ["send", "fizz-top", "hello"], ["events", "--follow"]]) {
    const running = world.start(args, { env });
    using _ = await silent.accept();
    running.kill("SIGINT");
    const { code, stderr } = await running.doneWithin(SOON_MS, args.join(" "));
    strictEqual(code, 130, stderr);
  }
});

Deno.test("what only looks waits for a minute, what may have been done for longer, and neither is asked again", async () => {
  const asked: string[] = [];
  const limits: number[] = [];
  let arrived = Promise.withResolvers<void>();
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, ({ url, signal }) => {
    const { pathname } = new URL(url);
    if (pathname === "/health") return Response.json({ status: "healthy", ...US });
    asked.push(pathname);
    arrived.resolve();
    return new Promise<Response>((resolve) => {
      signal.addEventListener("abort", () => resolve(new Response(null)), { once: true });
    });
  });
  const clock = {
    ...realClock,
    sleep: (ms: number, signal?: AbortSignal) => {
      if (ms < 30_000) return realClock.sleep(ms, signal);
      limits.push(ms);
      arrived = Promise.withResolvers<void>();
      return arrived.promise;
    },
  };
  const client = await openClient({
    ...realDeps(),
    clock,
    env: { DEV_SESSIONS_GATEWAY_URL: `http://127.0.0.1:${server.addr.port}` },
  });
  const fails = (work: Promise<unknown>, code: string, said: RegExp) =>
    rejects(work, (error) => {
      ok(error instanceof AppError);
      strictEqual(error.code, code);
      match(`${error.message}\n${error.detail}`, said);
      return true;
    });
  await fails(client.list({ all: false, group: null }), "transport", /\(no answer within 60 s\)/);
  const kill = client.kill({ ids: ["fizz-top"], tree: false, everyone: true, caller: null });
  await fails(kill, "unproven", /^Cannot tell what became of kill: [^]*no answer within 1200 s/);
  deepStrictEqual([asked, limits], [["/v1/list", "/v1/kill"], [60_000, 1_200_000]]);
  await client.close();
});
