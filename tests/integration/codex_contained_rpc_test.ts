/** A server in a container may be anything: what no Codex says is not parsed, and what nobody takes is not kept. */

import { ok, rejects, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { Follower } from "../../backends/codex/follower.ts";
import { type Connection, type Incoming, openConnection } from "../../backends/codex/rpc.ts";
import { ConnectionLost } from "../../backends/codex/rpc_errors.ts";
import { realClock as clock } from "../../lib/real_deps.ts";
import { meterParsing } from "../support/parse_meter.ts";

const MB = 1024 * 1024;

/** Answers `initialize`, and sends `frames` upon the next request. */
async function withServer(
  frames: () => Iterable<string>,
  place: "host" | "container",
  body: (connection: Connection) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ds-rpc-" });
  const path = join(folder, "s.sock");
  const server = Deno.serve({ path, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => {
      const { id, method } = JSON.parse(data);
      const result = {
        userAgent: "stub/0.169.0 (x)",
        codexHome: "/",
        platformFamily: "unix",
        platformOs: "x",
      };
      if (method === "initialize") return socket.send(JSON.stringify({ id, result }));
      if (id !== undefined) { for (const frame of frames()) socket.send(frame); }
    };
    socket.onerror = (event) => event.preventDefault();
    return response;
  });
  try {
    await using connection = await openConnection({ kind: "unix", path }, { clock, place });
    await body(connection);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

const name = (text: string) =>
  JSON.stringify({ method: "thread/name/updated", params: { threadId: "t", threadName: text } });
const ask = (connection: Connection) => connection.call("thread/loaded/list", {}, { timeoutMs: 60_000 });
const isGarbled = (why: RegExp) => (error: unknown) =>
  error instanceof ConnectionLost && error.loss === "garbled" && why.test(error.message);
const heavy = `{"method":"unknown","params":[${"{},".repeat(700_000)}{}]}`;

for (
  const [what, frame] of [
    ["longer than any of Codex", () => name("x".repeat(17 * MB))],
    ["of a million small values", () => heavy],
  ] as const
) {
  Deno.test(`a container's frame ${what} ends the connection, and is not parsed`, async () => {
    const sent = frame();
    const parsed = await meterParsing(() =>
      withServer(() => [sent], "container", async (connection) => {
        await rejects(ask(connection), isGarbled(/larger than any of Codex/));
      })
    );
    ok(parsed.longestText < 10_000, `a text of ${parsed.longestText} was parsed`);
  });
}

Deno.test("a frame of 10 MB comes whole, and a server of this machine may say what it likes", async () => {
  await withServer(() => [name("x".repeat(10 * MB))], "container", async (connection) => {
    using listener = connection.listen();
    ask(connection).catch(() => {});
    const { value } = await listener.next();
    ok(value?.kind === "notification" && value.notification.method === "thread/name/updated");
    strictEqual(value.units > 10 * MB, true);
  });
  await withServer(() => [heavy, name("after")], "host", async (connection) => {
    using listener = connection.listen();
    ask(connection).catch(() => {});
    strictEqual((await listener.next()).value?.kind, "notification");
  });
});

Deno.test("what a container says and nobody takes is kept up to a limit, at which the connection ends", async () => {
  const flood = () => Array.from({ length: 100 }, () => name("x".repeat(MB)));
  await withServer(flood, "container", async (connection) => {
    using listener = connection.listen();
    await rejects(ask(connection), isGarbled(/more than can be heard/));
    let kept = 0;
    await rejects(async () => {
      for await (const { units } of listener) kept += units;
    }, isGarbled(/more than can be heard/));
    ok(kept > 30 * MB && kept <= 32 * MB, `${kept} were kept`);
  });
});

Deno.test("of what a thread is told, the newest is kept, up to a limit", () => {
  const follower = new Follower();
  const message = (n: number, units: number): Incoming => ({
    kind: "notification",
    units,
    notification: {
      method: "item/completed",
      params: {
        threadId: "t",
        turnId: "u",
        item: { type: "userMessage", id: `i${n}`, clientId: `c${n}`, content: [] },
      },
    } as Extract<Incoming, { kind: "notification" }>["notification"],
  });
  for (let n = 0; n < 100; n++) follower.hear(message(n, MB), 0);
  const known = Array.from({ length: 100 }, (_, n) => n).filter((n) => follower.knowsMessage(`c${n}`));
  strictEqual(known.length, 32);
  strictEqual(known[0], 68);
  const request = (id: number): Incoming => ({
    kind: "request",
    units: 500,
    request: { method: "other", id, name: "x", params: { threadId: "t" } },
  });
  for (let id = 0; id < 5_000; id++) follower.hear(request(id), 0);
  strictEqual(follower.requests.length, 1_000);
  strictEqual(follower.requests.at(-1)?.request.id, 4_999);
});
