/** A connection or a stream that lasts for days holds no more than a new one: what was passed on is let go of. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { serveStdio } from "../../gateway/stdio.ts";
import { answerStream, LINES } from "../../gateway/stream_answer.ts";
import { linesOf } from "../../gateway/lines.ts";
import { openService } from "../../lib/manager.ts";
import { realClock, realDeps } from "../../lib/real_deps.ts";
import { US } from "../../lib/wire/handshake.ts";
import { collectGarbage, Held } from "../support/heap.ts";
import { StoreHome } from "../support/store_home.ts";

const ITEMS = 2_000;
const LINE_BYTES = 1024 * 1024;
const LONG_LINES = 60;

Deno.test("a stream that goes on holds none of the items that were written", async () => {
  const held = new Held();
  const waiting = Promise.withResolvers<void>();
  const stop = new AbortController();
  async function* items() {
    for (let n = 0; n < ITEMS; n++) yield await Promise.resolve(held.of({ n }));
    waiting.resolve();
    await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
  }
  const answered = Promise.withResolvers<unknown>();
  const server = createServer((_, response) => {
    answerStream(response, items(), LINES, { clock: realClock, stop: stop.signal })
      .then(answered.resolve, answered.reject);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("data", () => {});
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  try {
    await waiting.promise;
    const count = await held.count();
    ok(count < 10, `${count} of ${ITEMS} are held`);
  } finally {
    stop.abort({ kind: "stopped" });
    strictEqual(await answered.promise, null);
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

Deno.test("a connection over stdio holds none of the lines that were read", async () => {
  using home = new StoreHome();
  const service = await openService({ ...realDeps(), env: { HOME: home.home } });
  const up = new TransformStream<Uint8Array, Uint8Array>();
  const down = new TransformStream<Uint8Array, Uint8Array>({}, {}, { highWaterMark: 8 });
  const writer = up.writable.getWriter();
  const say = (frame: unknown) => writer.write(new TextEncoder().encode(`${JSON.stringify(frame)}\n`));
  const heard = linesOf(down.readable, LINE_BYTES);
  const answered = async (id: number) => {
    await say({ type: "request", id, operation: "none" });
    let line = "";
    while (!line.includes(`"id":${id}`)) line = (await heard.next()).value ?? `"id":${id}`;
    return JSON.parse(line).error.code;
  };
  const stop = new AbortController();
  const streams = { readable: up.readable, writable: down.writable };
  const served = serveStdio(service, streams, stop.signal, { clock: realClock });
  try {
    await say({ type: "hello", ...US });
    strictEqual(await answered(1), "usage");
    const before = await heapBytes();
    const pad = "x".repeat(LINE_BYTES);
    for (let n = 0; n < LONG_LINES; n++) await say({ type: "cancel", id: 9, pad });
    strictEqual(await answered(2), "usage");
    const lines = Math.round((await heapBytes() - before) / LINE_BYTES);
    ok(lines < LONG_LINES / 4, `about ${lines} of ${LONG_LINES} lines are held`);
  } finally {
    stop.abort();
    deepStrictEqual((await heard.next()).done, true);
    await served;
    await service.close();
  }
});

async function heapBytes(): Promise<number> {
  await collectGarbage();
  return Deno.memoryUsage().heapUsed;
}
