/** Sessions of the real Codex with a scripted model: what commands take with a warm server, and what a cold start takes. */

import { join } from "node:path";
import { openConnection } from "../backends/codex/rpc.ts";
import { controlSocket } from "../lib/paths.ts";
import { realClock } from "../lib/real_deps.ts";
import { createCodexSandbox } from "../tests/support/codex_sandbox.ts";
import { cli, emptyProgram, type Figure, figure, output, pause, quantile, time } from "./measure.ts";

const RUNS = 25;
const COLD_RUNS = 7;
const WAIT_RUNS = 15;
const THREADS = 50;
const STATUS_GOAL_MS = 40;
const SEND_GOAL_MS = 90;
const COLD_GOAL_MS = 400;
const WAIT_GOAL_MS = 20;
/** Longer than a start. */
const SETTLE_MS = 500;

export async function benchCodex(): Promise<Figure[]> {
  await using codex = await createCodexSandbox();
  const { sandbox } = codex;
  const { env, workspace } = sandbox;
  const dev = (...args: string[]) => cli(args, env, workspace);
  const create = async () => (await output(dev("create", "-q", "--cli", "codex"))).trim();
  await Deno.mkdir(join(sandbox.home, ".dev-sessions"), { mode: 0o700 });
  await Deno.writeTextFile(
    join(sandbox.home, ".dev-sessions", "config.json"),
    JSON.stringify({ maxSessions: THREADS + 1 }),
  );

  const cold: number[] = [];
  for (let run = 0; run < COLD_RUNS; run++) {
    const begin = performance.now();
    const id = await create();
    cold.push(performance.now() - begin);
    await output(dev("kill", id));
    await sandbox.eventually(async () => (await codex.servers()).length === 0, {
      what: "the server ends with its last session",
    });
  }

  const id = await create();
  const [empty, status, send]: number[][] = [[], [], []];
  for (let run = -2; run < RUNS; run++) {
    const samples = [
      await time(emptyProgram(env, workspace)),
      await time(dev("status", id)),
      await time(dev("send", id, `SCRIPT:plain message ${run}`)),
    ];
    await output(dev("wait", id));
    if (run >= 0) [empty, status, send].forEach((all, index) => all!.push(samples[index]!));
  }
  const start = quantile(empty!, 0.5);
  const beyond = (samples: readonly number[]) => samples.map((ms) => ms - start);

  const woken: number[] = [];
  for (let run = 0; run < WAIT_RUNS; run++) woken.push(await wakeUp(run));

  const lost = await sendToMany();
  return [
    figure("Codex: create with a cold server", cold, COLD_GOAL_MS),
    figure("empty program, beside Codex", empty!),
    figure("Codex: status, warm server", status!),
    figure("Codex: status beyond an empty program", beyond(status!), STATUS_GOAL_MS),
    figure("Codex: send, warm server", send!),
    figure("Codex: send beyond an empty program", beyond(send!), SEND_GOAL_MS),
    figure("Codex: turn/completed -> printed outcome of wait", woken, WAIT_GOAL_MS),
    {
      what: `Codex: ${THREADS} parallel sends to ${THREADS} threads: lost`,
      value: lost,
      unit: "",
      goal: 0,
      spread: null,
      n: THREADS,
    },
  ];

  async function wakeUp(run: number): Promise<number> {
    await output(dev("send", id, `SCRIPT:gate bench${run}`));
    const { internalId } = JSON.parse(await output(dev("inspect", id))) as { internalId: string };
    await using connection = await openConnection(
      { kind: "unix", path: controlSocket(codex.codexHome) },
      { clock: realClock },
    );
    using listener = connection.listen();
    await connection.call("thread/resume", { threadId: internalId, excludeTurns: true });
    const completed = (async () => {
      for await (const incoming of listener) {
        if (incoming.kind === "notification" && incoming.notification.method === "turn/completed") break;
      }
      return performance.now();
    })();
    const { args } = dev("wait", id);
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args],
      env: { ...env },
      clearEnv: true,
      cwd: workspace,
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.getReader();
    const printed = reader.read().then(({ value }) => ({
      at: performance.now(),
      text: new TextDecoder().decode(value).trim(),
    }));
    await codex.model!.reached(`bench${run}`);
    await pause(SETTLE_MS);
    codex.model!.open(`bench${run}`);
    const [end, { at, text }] = await Promise.all([completed, printed]);
    await child.status;
    await reader.cancel();
    if (text !== "completed") throw new Error(`wait printed "${text}"`);
    return at - end;
  }

  /** How many of the messages have no answer of their own. */
  async function sendToMany(): Promise<number> {
    const ids: string[] = [];
    for (let i = 0; i < THREADS; i++) ids.push(await create());
    await Promise.allSettled(ids.map((to) => output(dev("send", to, `SCRIPT:plain for ${to}`))));
    await output(dev("wait", ...ids));
    const replies = await Promise.all(ids.map((one) => output(dev("last-message", one))));
    return ids.filter((one, index) => replies[index]!.trim() !== `REPLY: for ${one}`).length;
  }
}
