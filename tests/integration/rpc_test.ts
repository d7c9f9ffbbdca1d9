/** `rpc` serves real sessions to a client at the other end of its pipes, whatever a login profile prints before. */

import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import type { WaitRequest, WaitResult } from "../../lib/service.ts";
import { US } from "../../lib/wire/handshake.ts";
import { MARKER } from "../../gateway/frames.ts";
import { CarrierError } from "../../gateway/carrier.ts";
import { createSandbox } from "../support/harness.ts";
import { createRequest } from "../support/create_request.ts";
import { carrierTo, serviceOver, startRpc } from "../support/rpc_connection.ts";
import { StubSession, withSession, withSessions } from "../support/stub_session.ts";

const PROFILE = `echo 'Welcome to build.example!'; echo '{"type":"hello","protocol":99,"version":"9"}'
  echo '${MARKER} is not alone here'; i=0; while [ $i -lt 500 ]; do echo "line $i"; i=$((i+1)); done
  printf 'no line end'; exec "$@"`;

const never = () => new AbortController().signal;

function waitRequest(ids: readonly string[], given: Partial<WaitRequest> = {}): WaitRequest {
  return { ids, any: false, timeoutMs: 60_000, pollMs: null, receipt: null, background: false, ...given };
}

async function outcomes(results: AsyncIterable<WaitResult>): Promise<string[]> {
  const all: string[] = [];
  for await (const { id, outcome } of results) all.push(`${id} ${outcome.outcome}`);
  return all;
}

function isError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    ok(error instanceof AppError, String(error));
    match(error.message, message);
    strictEqual(error.code, code);
    return true;
  };
}

Deno.test("create, send, wait, last-message, logs, events and kill over rpc, behind a noisy profile", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using rpc = startRpc(sandbox, PROFILE);
  const carrier = carrierTo(rpc);
  const service = serviceOver(carrier);

  const made = await service.create(
    createRequest({ path: sandbox.workspace, description: "über alles" }),
    never(),
  );
  deepStrictEqual([made.readyProven, made.repeated, made.session.description], [true, false, "über alles"]);
  deepStrictEqual(carrier.peer(), US);
  const { id } = made.session;
  const sent = await service.send(
    { id, text: "größer\u{1f600}", render: null, key: null, sender: null },
    never(),
  );
  deepStrictEqual([sent.receipt.result, sent.repeated], ["submitted", false]);
  deepStrictEqual(await outcomes(service.wait(waitRequest([id]), never())), [`${id} completed`]);
  deepStrictEqual(await service.lastMessages(id, 1), ["REPLY: größer\u{1f600} [length 8]"]);
  deepStrictEqual(await service.lastMessages(id, 5, sent.receipt.receipt), [
    "REPLY: größer\u{1f600} [length 8]",
  ]);
  strictEqual((await service.status(id, { explain: true })).state, "idle");
  const roles: string[] = [];
  for await (const { role } of service.logs(id)) roles.push(role);
  deepStrictEqual(roles, ["human", "assistant"]);
  const types: string[] = [];
  for await (const { body } of service.events({ ids: [id], since: null, follow: false }, never())) {
    types.push(body.type);
  }
  deepStrictEqual([types[0], types.at(-1)], ["session_created", "turn_completed"]);
  deepStrictEqual((await service.list({ all: false, group: null })).map(({ session }) => session.id), [id]);
  strictEqual((await service.inspect(id)).path, sandbox.workspace);
  deepStrictEqual((await service.usage(null)).map((one) => one.id), [id]);
  deepStrictEqual((await service.attachCommand(id)).command.split("/").at(-1), "tmux");

  await rejects(service.inspect("nobody-top"), isError("not_found", /^Session not found: nobody-top$/));
  await rejects(
    service.create(createRequest({ path: "relative" }), never()),
    isError("usage", /path: must be an absolute path/),
  );

  const ids = [id];
  const killed = await service.kill({ caller: null, ids, tree: false, everyone: false });
  deepStrictEqual(killed.killed, ids);
  await service.close();
  deepStrictEqual(await rpc.ended(), { code: 0, stderr: "" });
});

Deno.test("several waits on one connection; a cancelled one ends alone", () =>
  withSessions(2, async (sessions, sandbox) => {
    await using rpc = startRpc(sandbox);
    const service = serviceOver(carrierTo(rpc));
    const [one, two] = sessions as [StubSession, StubSession];
    const gates = [one.gate(), two.gate()];
    for (const [index, session] of sessions.entries()) {
      await session.sent(`SCRIPT:gate ${gates[index]!.path}`);
    }

    const stop = new AbortController();
    const cancelled = outcomes(service.wait(waitRequest([one.id, two.id]), stop.signal));
    const first = outcomes(service.wait(waitRequest([one.id]), never()));
    const any = outcomes(service.wait(waitRequest([one.id, two.id], { any: true }), never()));
    deepStrictEqual(
      (await Promise.all(sessions.map(({ id }) => service.status(id)))).map(({ state }) => state),
      ["working", "working"],
    );
    stop.abort();
    deepStrictEqual(await cancelled, []);
    await gates[1]!.open();
    deepStrictEqual(await any, [`${two.id} completed`]);
    strictEqual((await service.status(one.id)).state, "working");
    await gates[0]!.open();
    deepStrictEqual(await first, [`${one.id} completed`]);
    await service.close();
    strictEqual((await rpc.ended()).code, 0);
  }));

Deno.test("a client that hangs up in the middle of a wait ends rpc, and nothing else", () =>
  withSession({}, async (session, sandbox) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    await using rpc = startRpc(sandbox);
    const service = serviceOver(carrierTo(rpc));
    const waiting = outcomes(service.wait(waitRequest([session.id]), never()));
    const broken = rejects(waiting, isError("transport", /the connection to build\.example has ended/));
    strictEqual((await service.status(session.id)).state, "working");
    await service.close();
    await broken;
    deepStrictEqual(await rpc.ended(), { code: 0, stderr: "" });
    strictEqual((await session.run("status")).stdout, "working\n");
    await gate.open();
  }));

Deno.test("a create that is cancelled is rolled back, and its answer says so", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=60000"] });
  await using rpc = startRpc(sandbox);
  const service = serviceOver(carrierTo(rpc));
  const stop = new AbortController();
  const creating = service.create(createRequest({ path: sandbox.workspace }), stop.signal);
  const ended = rejects(creating, isError("interrupted", /./));
  await sandbox.eventually(
    async () => (await service.list({ all: true, group: null })).length === 1,
    { what: "the session is being created" },
  );
  stop.abort();
  await ended;
  deepStrictEqual(await service.list({ all: true, group: null }), []);
  strictEqual((await sandbox.tmux("list-sessions")).code, 1);
  await service.close();
});

Deno.test("another protocol: both ends say which one to upgrade, and part", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  for (
    const [protocol, way] of [[99, /Upgrade the other one; there, run/], [
      0,
      /Upgrade this one with/,
    ]] as const
  ) {
    await using rpc = startRpc(sandbox);
    const service = serviceOver(carrierTo(rpc, { protocol, version: "9.9.9" }));
    await rejects(service.list({ all: true, group: null }), isError("failure", way));
    await service.close();
    strictEqual((await rpc.ended()).code, 0);
  }
});

Deno.test("what is no frame ends the connection with a reason, not rpc with a crash", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const hello = JSON.stringify({ type: "hello", ...US });
  const rows: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["no JSON", [hello, "GET / HTTP/1.1"], /a line is no frame of the protocol/],
    ["JSON of another shape", [hello, '{"type":"sudo"}'], /a line is no frame/],
    ["no hello first", ['{"type":"request","id":1,"operation":"list"}'], /the first frame is no hello/],
    ["a number twice", [
      hello,
      ...Array(2).fill('{"type":"request","id":1,"operation":"events","body":{"follow":true}}'),
    ], /the request 1 is under way/],
    ["a line without an end", [hello, "x".repeat(9 * 1024 * 1024)], /a line is longer than 8388608 bytes/],
  ];
  for (const [name, lines, said] of rows) {
    await t.step(name, async () => {
      await using rpc = startRpc(sandbox);
      const output = new Response(rpc.streams.readable).text();
      const writer = rpc.streams.writable.getWriter();
      await writer.write(new TextEncoder().encode(lines.join("\n") + "\n")).catch(() => {});
      const last = (await output).trimEnd().split("\n").at(-1) ?? "";
      const frame = JSON.parse(last);
      deepStrictEqual(
        [frame.type, frame.id, frame.error.code === "usage" || frame.error.code === "failure"],
        [
          "error",
          null,
          true,
        ],
      );
      match(frame.error.message, said);
      const { code, stderr } = await rpc.ended();
      deepStrictEqual([code, stderr], [0, ""]);
      writer.releaseLock();
    });
  }
});

Deno.test("without dev-sessions at the other end the error has what was printed there", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using rpc = startRpc(sandbox, "echo motd; echo 'dev-sessions: command not found'; exit 127");
  const service = serviceOver(carrierTo(rpc));
  await rejects(service.list({ all: true, group: null }), (error) => {
    ok(error instanceof CarrierError);
    ok(error.told.unsent);
    match(error.message, /^Cannot talk to build\.example: it ended before it said that it is dev-sessions$/);
    match(error.detail ?? "", /command not found/);
    return true;
  });
  await service.close();
});
