/** `events` of the real Claude Code: what happens to a turn, a tool, a request and a session, over readers that are killed. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import {
  assertNothingLeft,
  createSession,
  fileAppears,
  type LiveSession,
  modelOf,
  step,
} from "../support/live_session.ts";
import type { RunningCommand } from "../support/running_command.ts";

interface Event {
  readonly cursor: string;
  readonly id: string;
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Follows; `restart()` kills it and goes on from the last event that it has told whole. */
class Reader implements AsyncDisposable {
  readonly seen: Event[] = [];
  #taken = 0;
  #stopped = false;
  #running: RunningCommand;

  constructor(private readonly sandbox: Sandbox, private readonly ids: readonly string[]) {
    this.#running = this.#start();
  }

  #start(): RunningCommand {
    const last = this.seen.at(-1)?.cursor;
    return this.sandbox.start([
      "events",
      ...this.ids,
      "--follow",
      ...last === undefined ? [] : ["--since", last],
    ]);
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#running = this.#start();
    this.#stopped = false;
  }

  /** Stopped twice is once. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#running.kill("SIGKILL");
    const { stdout } = await this.#running.done();
    this.seen.push(...stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line)));
  }

  /** What came since the last call, once so many of this type are in it, the last event being one. */
  until(type: string, times = 1): Promise<string[]> {
    const isIt = (event: Event | undefined) => event?.type === type;
    return this.untilAll(
      `${times} ${type}`,
      (fresh) => fresh.filter(isIt).length >= times && isIt(fresh.at(-1)),
    );
  }

  async untilAll(what: string, isAll: (fresh: readonly Event[]) => boolean): Promise<string[]> {
    let fresh: Event[] = [];
    try {
      await this.sandbox.eventually(() => {
        const lines = this.#running.stdout.split("\n").slice(0, -1).map((line): Event => JSON.parse(line));
        fresh = [...this.seen, ...lines].slice(this.#taken);
        return isAll(fresh);
      }, { what });
    } catch (error) {
      throw new Error(`${(error as Error).message} in ${JSON.stringify(fresh)} ${this.#running.stderr}`);
    }
    this.#taken += fresh.length;
    return fresh.map(({ type, text, error, summary }) => `${type} ${text ?? error ?? summary ?? ""}`.trim());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#running.end();
  }
}

Deno.test("events of the turns of a yolo session", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  const session = await createSession(sandbox, [], { env: { CLAUDE_CODE_MAX_RETRIES: "0" } });
  await using reader = new Reader(sandbox, [session.id]);
  deepStrictEqual(await reader.until("session_created"), ["session_created"]);

  await step(t, "a plain one, and what wait has told of is there at once", async () => {
    await session.turn("SCRIPT:plain hello");
    const now = await sandbox.run(["events", session.id]);
    strictEqual(JSON.parse(now.stdout.trim().split("\n").at(-1)!).type, "turn_completed");
    deepStrictEqual(await reader.until("turn_completed"), [
      "turn_started SCRIPT:plain hello",
      "message REPLY: hello [length 18]",
      "turn_completed",
    ]);
  });

  await step(t, "one with a tool, over a restart of the reader", async () => {
    await session.send("SCRIPT:gatetool gated true");
    await model.reached("gated");
    await reader.restart();
    model.open("gated");
    await session.completed();
    const [started, ...rest] = await reader.until("turn_completed");
    deepStrictEqual(started, "turn_started SCRIPT:gatetool gated true");
    strictEqual(rest.length, 2);
    match(rest[0]!, /^message DONE after tool/);
  });

  await step(t, "a person's Escape, while it answers and while a tool runs", async () => {
    await session.send("SCRIPT:streamgate never");
    await model.reached("never");
    await session.reaches("busy");
    await session.press("Escape");
    const streamed = await reader.until("turn_interrupted");
    deepStrictEqual(streamed[0], "turn_started SCRIPT:streamgate never");
    const flag = join(sandbox.root, "tool-started");
    await session.send(`SCRIPT:bash touch ${flag}; sleep 60`);
    await fileAppears(sandbox, flag);
    await reader.restart();
    await session.press("Escape");
    deepStrictEqual(await reader.until("turn_interrupted"), [
      `turn_started SCRIPT:bash touch ${flag}; sleep 60`,
      "message I run a command.",
      "turn_interrupted",
    ]);
  });

  await step(t, "one before the first word, told by the rest, and by the next message", async () => {
    for (const name of ["rests", "goes-on"]) {
      await session.send(`SCRIPT:gate ${name}`);
      await model.reached(name);
      await session.expect(0, "interrupt");
      if (name === "rests") {
        deepStrictEqual(await reader.until("turn_interrupted"), [
          `turn_started SCRIPT:gate ${name}`,
          "turn_interrupted",
        ]);
      }
    }
    await session.turn("SCRIPT:plain after");
    deepStrictEqual(await reader.until("turn_completed"), [
      "turn_started SCRIPT:gate goes-on",
      "turn_interrupted",
      "turn_started SCRIPT:plain after",
      "message REPLY: after [length 18]",
      "turn_completed",
    ]);
  });

  await step(t, "one with a message in the queue, while a tool runs and before the first word", async () => {
    const flag = join(sandbox.root, "other-tool-started");
    await session.send(`SCRIPT:bash touch ${flag}; sleep 60`);
    await fileAppears(sandbox, flag);
    await session.send("SCRIPT:plain behind the tool");
    await session.press("Escape");
    deepStrictEqual(await reader.until("turn_completed"), [
      `turn_started SCRIPT:bash touch ${flag}; sleep 60`,
      "message I run a command.",
      "turn_interrupted",
      "turn_started SCRIPT:plain behind the tool",
      "message REPLY: behind the tool [length 28]",
      "turn_completed",
    ]);
    await session.send("SCRIPT:gate unsaid");
    await model.reached("unsaid");
    await session.send("SCRIPT:plain behind nothing");
    await session.press("Escape");
    deepStrictEqual(await reader.until("turn_completed"), [
      "turn_started SCRIPT:gate unsaid",
      "turn_interrupted",
      "turn_started SCRIPT:plain behind nothing",
      "message REPLY: behind nothing [length 27]",
      "turn_completed",
    ]);
  });

  await step(t, "an API error", async () => {
    await session.send("SCRIPT:err400");
    const [started, failed] = await reader.until("turn_failed");
    deepStrictEqual(started, "turn_started SCRIPT:err400");
    match(failed!, /^turn_failed .*API Error: 400 .*scripted invalid_request_error/);
  });

  await step(t, "messages that were queued, and one that the running turn takes up", async () => {
    await session.send("SCRIPT:gate first");
    await model.reached("first");
    await session.send("SCRIPT:plain second");
    await session.send("SCRIPT:plain third");
    model.open("first");
    await session.completed();
    await session.send("SCRIPT:gatetool absorbing true");
    await model.reached("absorbing");
    await session.send("SCRIPT:plain absorbed");
    model.open("absorbing");
    await session.completed();
    const told = (await reader.until("turn_completed", 3)).filter((entry) => !entry.startsWith("message"));
    deepStrictEqual(told, [
      "turn_started SCRIPT:gate first",
      "turn_completed",
      "turn_started SCRIPT:plain second",
      "turn_joined SCRIPT:plain third",
      "turn_completed",
      "turn_started SCRIPT:gatetool absorbing true",
      "turn_joined SCRIPT:plain absorbed",
      "turn_completed",
    ]);
  });

  await step(t, "a subagent prolongs its turn", async () => {
    await session.send("SCRIPT:agent gate subagent");
    await model.reached("subagent");
    await session.shows("DONE after tool");
    await reader.until("message");
    await reader.restart();
    model.open("subagent");
    await session.completed();
    const told = await reader.until("turn_completed");
    ok(!told.some((entry) => entry.startsWith("turn_started")), JSON.stringify(told));
  });

  await step(t, "its end; all of it is the same for whoever reads it now", async () => {
    await session.expect(0, "kill");
    deepStrictEqual(await reader.until("session_ended"), ["session_ended"]);
    await reader.stop();
    const all = await sandbox.run(["events"]);
    deepStrictEqual(all.stdout, reader.seen.map((event) => `${JSON.stringify(event)}\n`).join(""));
  });
  await assertNothingLeft(sandbox);
});

Deno.test("events of requests for input in native mode", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const session = await createSession(sandbox, ["--mode", "native", "--trust"]);
  await using reader = new Reader(sandbox, [session.id]);
  await reader.until("session_created");

  await step(t, "a permission that a person gives, told before its tool has ended", async () => {
    const gate = join(sandbox.workspace, "may-end");
    const command = `touch ${gate}.begun; while ! test -e ${gate}; do sleep 0.1; done`;
    await session.send(`SCRIPT:bash ${command}`);
    // The transcript, where the message stands, lags behind the hook that asks.
    const asked = await reader.untilAll("a request and what was said before", (fresh) => fresh.length === 3);
    deepStrictEqual(asked.toSorted(), [
      `input_requested Bash: ${command}`,
      "message I run a command.",
      `turn_started SCRIPT:bash ${command}`,
    ]);
    await reader.restart();
    await session.answerDialog("1");
    deepStrictEqual(await reader.until("input_resolved"), ["input_resolved"]);
    await Deno.writeTextFile(gate, "");
    await session.completed();
    const [answer, end, ...more] = await reader.until("turn_completed");
    match(answer!, /^message DONE after tool/);
    deepStrictEqual([end, more], ["turn_completed", []]);
  });

  await step(t, "one that a person rejects, read only afterwards", async () => {
    const file = join(sandbox.workspace, "never-made");
    await reader.stop();
    await session.send(`SCRIPT:bash touch ${file}`);
    await session.reaches("waiting");
    await session.answerDialog("Escape");
    strictEqual((await session.run("wait")).code, 6);
    await reader.restart();
    const told = await reader.until("turn_interrupted");
    deepStrictEqual(told.slice(-3), [
      `input_requested Bash: touch ${file}`,
      "input_resolved",
      "turn_interrupted",
    ]);
    await reader.stop();
    const requests = reader.seen.flatMap(({ type, requestId }) =>
      type.startsWith("input_") ? [requestId] : []
    );
    strictEqual(requests.length, 4);
    deepStrictEqual([requests[1], requests[3]], [requests[0], requests[2]]);
    await cleared(session);
  });

  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});

/** After `/clear` the events go on with the new conversation. */
async function cleared(session: LiveSession): Promise<void> {
  const before = await session.live();
  await session.type("/clear");
  await session.shows("/clear");
  await session.press("Enter");
  await session.sandbox.eventually(async () => {
    const entry = await session.live();
    return entry?.status === "idle" && entry.sessionId !== before?.sessionId;
  }, { what: "a new conversation" });
  await session.turn("SCRIPT:plain anew");
  const { stdout } = await session.run("events");
  const told = stdout.trim().split("\n").map((line) => JSON.parse(line)).slice(-3);
  deepStrictEqual(told.map(({ type, text }) => text ?? type), [
    "SCRIPT:plain anew",
    "REPLY: anew [length 17]",
    "turn_completed",
  ]);
}
