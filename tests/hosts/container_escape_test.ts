/** A token's holder, as root in a real container, who wants more than his token gives: and nothing of it works. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { startGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { step } from "../support/live_session.ts";
import { created, rows, tmuxSessions } from "../support/sandbox_state.ts";
import { ClientContainer, programFolder, reached, tokenFile } from "./client_container.ts";
import { engineTest, startEngine } from "./docker_engine.ts";

const SECRET = "not-for-the-container";
/** Attempts of the race. */
const RACES = 15;

engineTest(
  "twenty ways out of a container through the gateway, and none of them leads anywhere",
  async (t) => {
    await using engine = await startEngine();
    await using sandbox = await createSandbox({ agent: "stub" });
    await using gateway = await startGateway(sandbox, ["--bind", "docker"], {
      env: { DOCKER_HOST: engine.host },
    });
    const program = await programFolder(join(sandbox.root, "p"));
    const root = await sandbox.folder("work");
    await sandbox.folder("workspace");
    const outside = await sandbox.folder("outside");
    await Deno.writeTextFile(join(outside, "secret"), SECRET);
    await Deno.chmod(sandbox.root, 0o755);
    const made = await gateway.token("--root", root, "--mode", "yolo", "--name", "inside");
    const file = await tokenFile(sandbox, "token", made.token);
    const docker = (await gateway.token("--root", root, "--mode", "docker")).token;
    const other = (await gateway.token("--root", root, "--mode", "yolo")).token;
    // The engine is asked nothing in this test: no session of docker mode may ever come so far.
    const { args, env, network } = reached("unix", gateway, file);
    await using client = await ClientContainer.start({
      engine,
      sandbox,
      program,
      workspace: root,
      at: "/work",
      network,
      user: "0:0",
      args,
      env: { ...env, DEV_SESSIONS_ID: "" },
    });

    const host = await created(sandbox, ["--group", "team", "-p", outside]);
    const theirs = (await gateway.result(
      "create",
      { path: root, agent: "claude", mode: null, group: "team", key: "the-key" },
      { token: other },
    )).session.id;
    const own = await client.expect(0, ["create", "-q", "-p", "/work", "--group", "team"]);
    const before = { rows: rows(sandbox), tmux: await tmuxSessions(sandbox) };
    await client.shell(
      `ln -s ${outside} out; ln -s / slash; ln -s .. up; mkdir inside; ln -s inside in; ln -s /root/.ssh ssh`,
    );

    const refused = async (code: number, why: RegExp, args: string[], env: Record<string, string> = {}) => {
      const output = await client.run(args, { env });
      strictEqual(output.code, code, `${args.join(" ")}: ${output.stdout}${output.stderr}`);
      strictEqual(output.stdout, "");
      match(output.stderr, why);
      doesNotMatch(output.stdout + output.stderr, new RegExp(SECRET));
      deepStrictEqual({ rows: rows(sandbox), tmux: await tmuxSessions(sandbox) }, before);
    };
    const folder = /it is no folder below/;
    const create = (path: string, ...more: string[]) => ["create", "-q", "-p", path, ...more];

    const ways: [string, () => Promise<void>][] = [
      ["a link to elsewhere in the workspace", () => refused(8, folder, create("/work/out"))],
      ["a link to the host's disk", () => refused(8, folder, create("/work/slash/etc"))],
      ["a link upwards", () => refused(8, folder, create("/work/up/outside"))],
      ["..", () => refused(8, folder, create("/work/../outside"))],
      [".. where the container has another folder", () => refused(8, folder, create(`${root}/../outside`))],
      ["a folder whose name begins alike", () => refused(8, folder, create(`${root}space`))],
      ["the host's own paths", () => refused(8, folder, create(outside))],
      [
        "a map that says that / is the workspace",
        () => refused(8, folder, create("/work/etc"), { HOST_PATH: "/" }),
      ],
      ["a map to another folder", () => refused(8, folder, create("/work"), { HOST_PATH: outside })],
      ["a laxer mode", () =>
        refused(8, /--mode yolo is not permitted/, create("/work", "-m", "yolo"), {
          DEV_SESSIONS_GATEWAY_TOKEN: docker,
        })],
      [
        "a laxer mode, one step",
        () =>
          refused(8, /--mode native is not permitted/, create("/work", "-m", "native"), {
            DEV_SESSIONS_GATEWAY_TOKEN: docker,
          }),
      ],
      [
        "a container with a folder below the root, which could be replaced while it starts",
        () => refused(8, /must be a root of the token itself/, create("/work/inside", "-m", "docker")),
      ],
      [
        "arguments for the agent",
        () => refused(8, /--agent-arg is not permitted/, create("/work", "--agent-arg=--add-dir=/")),
      ],
      [
        "a worktree, for which the host would run git",
        () => refused(8, /--worktree is not permitted/, create("/work", "--worktree")),
      ],
      [
        "trust in the workspace's own settings",
        () => refused(8, /--trust is not permitted/, create("/work", "-m", "native", "--trust")),
      ],
      ["an id of its choice", () => refused(8, /--id is not permitted/, create("/work", "--id", host))],
      ["another host", () => refused(8, /--host is not permitted/, create("/work", "--host", "elsewhere"))],
      ["a parent that is another's", () =>
        refused(3, /Session not found/, create("/work"), {
          DEV_SESSIONS_ID: host,
        })],
      ["sessions of the host", async () => {
        for (const verb of ["status", "inspect", "logs", "last-message", "events", "resume"]) {
          await refused(3, new RegExp(`Session not found: ${host}`), [verb, host]);
        }
      }],
      ["sessions of another token", async () => {
        for (
          const args of [["send", theirs, "x"], ["wait", own, theirs], ["interrupt", theirs], [
            "prune",
            theirs,
          ]]
        ) {
          await refused(3, new RegExp(`Session not found: ${theirs}`), args);
        }
        await refused(3, /Session not found/, ["respond", theirs, "--approve"]);
        await refused(3, /Session not found/, ["kill", own, theirs]);
      }],
      [
        "a template that lets the host run git",
        () => refused(8, /\{\{git\.branch\}\} is not permitted/, ["send", own, "--render", "{{git.branch}}"]),
      ],
      ["making itself a token", async () => {
        const output = await client.run(["gateway", "token", "create", "--root", "/"]);
        // It is made in the container's own registry, where it is worth nothing.
        const text = output.stdout.trim();
        if (output.code === 0) {
          strictEqual((await client.run(["list"], { env: { DEV_SESSIONS_GATEWAY_TOKEN: text } })).code, 8);
        }
        strictEqual(JSON.parse((await sandbox.run(["gateway", "token", "list", "--json"])).stdout).length, 3);
        const { status } = await gateway.ask("tokenCreate", { root: "/" }, { token: made.token });
        strictEqual(status, 400);
      }],
      ["the master token's name, and a made-up one", async () => {
        for (const token of ["master", "dsm_", "x".repeat(64), `${made.token}x`, made.token.slice(0, -1)]) {
          await refused(8, /not accepted/, ["list"], { DEV_SESSIONS_GATEWAY_TOKEN: token });
        }
      }],
    ];
    ok(ways.length >= 20);
    for (const [name, way] of ways) await step(t, name, way);

    await step(t, "@group is what it has made itself", async () => {
      strictEqual(await client.expect(0, ["wait", "@team"]), `${own}\tidle`);
      const { stdout } = await client.run(["list", "--all", "--json"]);
      deepStrictEqual(JSON.parse(stdout).map(({ id }: { id: string }) => id), [own]);
    });
    await step(t, "another's key brings another session, not theirs", async () => {
      const id = await client.expect(0, ["create", "-q", "-p", "/work", "--key", "the-key"]);
      ok(id !== theirs);
      await client.expect(0, ["kill", id]);
    });
    await step(
      t,
      "a link in the workspace is not what the container reads of the host, nor writes to",
      async () => {
        await client.expect(0, ["send", own, "hello"]);
        await client.expect(0, ["wait", own]);
        const output = await client.run(["last-message", own, "--output", "/work/out/stolen"]);
        // In the container, the link leads nowhere.
        ok(output.code !== 0);
        deepStrictEqual([...Deno.readDirSync(outside)].map(({ name }) => name), ["secret"]);
        const file = await client.run(["send", own, "-f", "/work/out/secret"]);
        ok(file.code !== 0, "nor is it read by the host");
      },
    );
    await step(t, "the mounted folder holds the socket alone, and can't be changed", async () => {
      strictEqual(await client.shell("ls -A /run/gateway/socket"), "gateway.sock\n");
      for (const script of ["rm -f /run/gateway/socket/gateway.sock", "touch /run/gateway/socket/x"]) {
        const { code, stderr } = await client.spawn(["sh", "-c", script]).doneWithin(30_000, script);
        ok(code !== 0);
        match(stderr, /Read-only file system/);
      }
      strictEqual((await client.run(["list"])).code, 0);
    });
    await step(t, "other hosts' names and a browser's origin are refused, whatever the token", async () => {
      const ask = (...headers: string[]) =>
        client.shell(
          `curl -s -o /dev/null -w '%{http_code}' --unix-socket /run/gateway/socket/gateway.sock ` +
            `-H "Authorization: Bearer $(cat /run/gateway/token)" ` +
            `${headers.map((header) => `-H '${header}'`).join(" ")} -d '{}' http://localhost/v1/list`,
        );
      strictEqual(await ask(), "200");
      strictEqual(await ask("Host: evil.example"), "403");
      strictEqual(await ask("Host: localhost.evil.example"), "403");
      strictEqual(await ask("Origin: http://localhost"), "403");
      strictEqual(await ask("Origin: null"), "403");
      strictEqual(await ask("X-Forwarded-Host: evil.example"), "200", "which nobody looks at");
      strictEqual(await ask("Authorization: Bearer x"), "400", "given twice, none counts");
    });
    await step(t, "attach is no way to a shell of the host", async () => {
      const { status, json } = await gateway.ask("attachCommand", { id: own }, { token: made.token });
      deepStrictEqual([status, json.error.code], [403, "refused"]);
    });
    await step(
      t,
      "a folder that is flipped between a real one and a link while sessions are made in it",
      async () => {
        // So fast that every look may see another one.
        const flipping = client.spawn([
          "sh",
          "-c",
          `cd /work; mkdir -p real; ln -sfn ${outside} link; cp -a link flip; while [ ! -e stop ]; do
        rm -f flip; mkdir flip; rmdir flip; ln -s ${outside} flip; done`,
        ]);
        const places = new Set<string>();
        for (let i = 0; i < RACES; i++) {
          const output = await client.run(["create", "-q", "-p", "/work/flip"]);
          if (output.code !== 0) continue;
          const id = output.stdout.trim();
          const { json } = await gateway.ask("inspect", { id });
          places.add(await Deno.realPath(`/proc/${json.result.process.pid}/cwd`).catch(() => "deleted"));
          await client.expect(0, ["kill", id]);
        }
        await client.shell("touch stop");
        await flipping.doneWithin(30_000, "the flipping");
        ok(!places.has(outside), [...places].join(" "));
      },
    );
    await step(t, "kill --all and prune mean its own alone", async () => {
      await client.expect(0, ["kill", "--all", "--everyone", "--yes"]);
      await client.expect(0, ["prune", own]);
      const left = rows(sandbox).filter((row) => row.endsWith(" active"));
      deepStrictEqual(left.map((row) => row.split(" ")[0]).sort(), [host, theirs].sort());
    });
    await step(t, "nothing of the tokens is in the log", () => {
      for (const token of [made.token, docker, other, gateway.master]) {
        ok(!gateway.process.stderr.includes(token));
      }
      return Promise.resolve();
    });
  },
);
