/** `events` of the real Codex: each once and in order, while it happens and when all is read again from the records. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession, crash } from "../support/codex_session.ts";
import { eventually } from "../support/harness.ts";

interface Told {
  readonly type: string;
  readonly text?: string | null;
  readonly source?: string;
  readonly error?: string;
  readonly summary?: string;
}

function brief(stdout: string): string[] {
  return stdout.trim().split("\n").filter(Boolean).map((line) => {
    const { type, text, source, error, summary }: Told = JSON.parse(line);
    return [type, source, text?.split(":")[0] === "DONE after tool" ? "DONE" : text, error, summary]
      .filter((part) => part !== undefined && part !== null).join(" ");
  });
}

Deno.test("events: messages, requests, steering, an interrupt, a goal, a server that is killed", async () => {
  await using codex = await createCodexSandbox();
  const model = codex.model!;
  const session = await CodexSession.create(codex, ["--mode", "native"]);
  const follower = codex.sandbox.start(["events", session.id, "--follow"]);
  const seen = (count: number) =>
    eventually(() => brief(follower.stdout).length >= count, {
      what: `${count} events: ${follower.stdout} ${follower.stderr}`,
    });
  await seen(1);

  await session.send("SCRIPT:plain hello");
  strictEqual(await session.said("wait"), "completed");

  await session.send("SCRIPT:escalate touch asked.txt");
  strictEqual((await session.run("wait")).code, 5);
  await seen(6);
  strictEqual((await session.run("respond", "--approve")).code, 0);
  strictEqual(await session.said("wait"), "completed");

  await session.send("SCRIPT:toolgate steered true");
  await model.reached("steered");
  await session.send("SCRIPT:plain steered in", "--steer");
  model.open("steered");
  strictEqual(await session.said("wait"), "completed");

  await session.send("SCRIPT:gate stopped");
  await model.reached("stopped");
  strictEqual((await session.run("interrupt")).code, 0);

  await session.said("goal", "SCRIPT:goal 2", "--budget", "100000");
  strictEqual(await session.said("wait", "--goal"), "complete");

  await session.send("SCRIPT:gate crashed");
  await model.reached("crashed");
  await crash(codex);
  strictEqual((await session.run("wait")).code, 6);
  await session.send("SCRIPT:plain again");
  strictEqual(await session.said("wait"), "completed");

  const expected = [
    "session_created",
    "turn_started message SCRIPT:plain hello",
    "message REPLY: hello",
    "turn_completed",
    "turn_started message SCRIPT:escalate touch asked.txt",
    "input_requested shell: touch asked.txt",
    "input_resolved",
    "message DONE",
    "turn_completed",
    "turn_started message SCRIPT:toolgate steered true",
    "turn_joined message SCRIPT:plain steered in",
    "message REPLY: steered in",
    "turn_completed",
    "turn_started message SCRIPT:gate stopped",
    "turn_interrupted",
    "turn_started other",
    "message REPLY: goal turn 1",
    "turn_completed",
    "turn_started other",
    "message DONE",
    "turn_completed",
    "turn_started message SCRIPT:gate crashed",
    "turn_failed Codex's app-server ended before the turn was over",
    "turn_started message SCRIPT:plain again",
    "message REPLY: again",
    "turn_completed",
  ];
  await seen(expected.length);
  const all = await codex.sandbox.run(["events", session.id]);
  follower.kill("SIGTERM");
  const followed = await follower.done();
  // Whether the answer or the next message is on record first depends on when it is looked.
  const steady = (told: readonly string[]) =>
    told.filter((line) => line !== "input_resolved" && line !== "message REPLY: gate steered opened");
  deepStrictEqual(steady(brief(followed.stdout)), steady(expected));
  strictEqual(followed.stdout, all.stdout);
  strictEqual(brief(all.stdout).filter((line) => line === "input_resolved").length, 1);

  // Made anew from the server's records, which hold no requests.
  for (const name of ["events.db", "events.db-wal", "events.db-shm"]) {
    await Deno.remove(join(codex.state, name)).catch(() => {});
  }
  const anew = await codex.sandbox.run(["events", session.id]);
  deepStrictEqual(
    steady(brief(anew.stdout)),
    steady(expected).filter((line) => !line.startsWith("input_")),
  );
});
