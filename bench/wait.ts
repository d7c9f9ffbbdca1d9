/** How soon `wait` answers after the last record of a turn was written. */

import { cli, type Figure, figure, pause } from "./measure.ts";
import { type LiveSession, World } from "./world.ts";

const RUNS = 25;
const GOAL_MS = 20;
/** Longer than a start, and anywhere between two looks of the safety poll. */
const SETTLE_MS = 400;
const SETTLE_SPREAD_MS = 1000;

export async function benchWait(): Promise<Figure[]> {
  await using world = await World.create();
  const live = await world.live(1);
  const printed: number[] = [];
  const ended: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const sample = await wakeUp(world, live, `prompt ${run}`);
    printed.push(sample.printed);
    ended.push(sample.ended);
  }
  return [
    figure("wait: last record of the turn -> printed outcome", printed, GOAL_MS),
    figure("wait: last record of the turn -> exit", ended),
  ];
}

async function wakeUp(
  world: World,
  live: LiveSession,
  prompt: string,
): Promise<{ printed: number; ended: number }> {
  await world.startTurn(live, prompt);
  const { args, env, cwd } = cli(["wait", live.session.id], world.sandbox.env, world.sandbox.workspace);
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { ...env },
    clearEnv: true,
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const first = reader.read().then(({ value }) => ({
    at: performance.now(),
    text: new TextDecoder().decode(value).trim(),
  }));
  await pause(SETTLE_MS + Math.random() * SETTLE_SPREAD_MS);
  await world.event(live, "Stop", {
    session_id: live.session.agentSessionId,
    last_assistant_message: "done",
  });
  await world.status(live, "idle");
  const begin = performance.now();
  const { at, text } = await first;
  await child.status;
  const end = performance.now();
  await reader.cancel();
  if (text !== "completed") throw new Error(`wait printed "${text}"`);
  if (at < begin - 5) throw new Error("wait answered before the turn had ended");
  return { printed: at - begin, ended: end - begin };
}
