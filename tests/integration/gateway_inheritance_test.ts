/** What the gateway has started holds nothing of it: no listening socket, so that a killed one can be started again. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { startGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { signal } from "../support/processes.ts";

/** The sockets among a process's descriptors. */
function socketsOf(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].flatMap(({ name }) => {
    try {
      const target = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
      return target.startsWith("socket:") ? [target] : [];
    } catch {
      return []; // It has just been closed.
    }
  });
}

Deno.test(
  "a tmux server and agents that a gateway has started outlive it without its sockets",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    const first = await startGateway(sandbox);
    try {
      const waiting = await first.fetch("/v1/events");
      const { session } = await first.result("create", { path: sandbox.workspace });
      const own = new Set(socketsOf(first.process.pid));
      ok(own.size >= 2, "it listens twice");
      const others = (await sandbox.processesOf()).filter(({ pid }) => pid !== first.process.pid);
      ok(others.some(({ command }) => command.includes("tmux")));
      for (const { pid, command } of others) {
        deepStrictEqual(socketsOf(pid).filter((socket) => own.has(socket)), [], command);
      }
      signal(first.process.pid, "SIGKILL");
      await first.process.done();
      await waiting.text().then(() => {}, () => {});
      await using second = await startGateway(sandbox, ["--port", String(first.port)]);
      strictEqual((await second.result("status", { id: session.id })).state, "idle");
      match(JSON.stringify(await second.result("list")), new RegExp(session.id));
    } finally {
      await first[Symbol.asyncDispose]();
    }
  },
);
