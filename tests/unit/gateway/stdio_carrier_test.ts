/** What is asked over a connection that has ended was never sent; what was written before its end may have arrived. */

import { rejects, strictEqual } from "node:assert/strict";
import { CarrierError } from "../../../gateway/carrier.ts";
import { MARKER, NO_PLACE } from "../../../gateway/frames.ts";
import { StdioCarrier } from "../../../gateway/stdio_carrier.ts";
import { realClock } from "../../../lib/real_deps.ts";
import { US } from "../../../lib/wire/handshake.ts";

/** A connection to somebody who has said who he is: `heard` resolves with the first request, `hangUp()` ends it. */
function connection() {
  const up = new TransformStream<Uint8Array, Uint8Array>();
  const down = new TransformStream<Uint8Array, Uint8Array>();
  const heard = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  const hear = (chunk: Uint8Array) => decoder.decode(chunk).includes('"request"') && heard.resolve();
  void up.readable.pipeTo(new WritableStream({ write: (chunk) => void hear(chunk) })).catch(() => {});
  const writer = down.writable.getWriter();
  const hello = JSON.stringify({ type: "hello", ...US, ...NO_PLACE });
  void writer.write(new TextEncoder().encode(`${MARKER}\n${hello}\n`));
  const streams = { readable: down.readable, writable: up.writable };
  const carrier = new StdioCarrier(streams, { where: "box", clock: realClock });
  return { carrier, heard: heard.promise, hangUp: () => writer.close() };
}

async function unsentOf(call: Promise<unknown>): Promise<boolean> {
  let unsent: boolean | null = null;
  await rejects(call, (error) => {
    if (error instanceof CarrierError) unsent = error.told.unsent;
    return true;
  });
  strictEqual(typeof unsent, "boolean");
  return unsent!;
}

Deno.test("StdioCarrier.call() says whether its request was written before the connection ended", async () => {
  const { carrier, heard, hangUp } = connection();
  await carrier.greeted();
  const before = unsentOf(carrier.call("kill", {}, { key: "a" }));
  await heard;
  await hangUp();
  strictEqual(await before, false);
  strictEqual(await unsentOf(carrier.call("kill", {}, { key: "b" })), true);
  await carrier.close();
});
