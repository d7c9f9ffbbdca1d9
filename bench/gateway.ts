/** What the gateway adds to a call, and how many it answers: the bundle's own process, asked over one kept connection each. */

import type { RemoteService } from "../gateway/remote_service.ts";
import { openClient } from "../gateway/client.ts";
import { openService } from "../lib/open_service.ts";
import { realDeps } from "../lib/real_deps.ts";
import { BUNDLE, cli, type Figure, figure, pause, timeInTurns } from "./measure.ts";
import { World } from "./world.ts";

const CALLS = 300;
const WARM_UP_CALLS = 30;
const COMMANDS = 25;
const COMMAND_WARM_UP_MB = 0.2;
const AT_ONCE = 16;
const THROUGHPUT_MS = 4_000;
const GOAL_ADDED_MS = 5;
const GOAL_HEALTH = 1_000;
const GOAL_STATUS = 300;

export async function benchGateway(): Promise<Figure[]> {
  await using world = await World.create();
  const { env, workspace, home } = world.sandbox;
  const { session } = await world.live(COMMAND_WARM_UP_MB);
  const gateway = world.sandbox.spawn(Deno.execPath(), ["run", "-A", BUNDLE, "gateway", "--port", "0"]);
  const port = await world.sandbox.eventually(
    () => Number(/listening on port (\d+)/.exec(gateway.stdout)?.[1] ?? 0),
    { what: `a gateway: ${gateway.stderr}` },
  );
  const token = (await Deno.readTextFile(`${home}/.dev-sessions/gateway-token`)).trim();
  const url = `http://127.0.0.1:${port}`;
  const inContainer = {
    ...env,
    DEV_SESSIONS_SANDBOX: "1",
    DEV_SESSIONS_GATEWAY_URL: url,
    DEV_SESSIONS_GATEWAY_TOKEN: token,
  };
  const deps = { ...realDeps(), env, cwd: () => workspace };
  const local = await openService(deps);
  const remote: RemoteService = await openClient({ ...deps, env: inContainer });
  try {
    const [here = [], there = []] = await callsInTurns([
      () => local.status(session.id),
      () => remote.status(session.id),
    ]);
    const [command = [], clientCommand = []] = await timeInTurns(
      [cli(["status", session.id], env, workspace), cli(["status", session.id], inContainer, workspace)],
      COMMANDS,
    );
    const added = there.map((ms, index) => ms - here[index]!);
    const health = await throughput(() => fetch(`${url}/health`));
    const status = await throughput(() =>
      fetch(`${url}/v1/status`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ id: session.id }),
      })
    );
    return [
      figure("status, in the process itself", here),
      figure("status, through a warm gateway", there),
      figure("what a warm gateway adds to a call", added, GOAL_ADDED_MS),
      figure("status, as a command", command),
      figure("status, as a command of a container", clientCommand),
      perSecond("gateway: /health", health, GOAL_HEALTH),
      perSecond("gateway: status", status, GOAL_STATUS),
    ];
  } finally {
    await remote.close();
    await local.close();
  }
}

/** Milliseconds of each call, in turns, so that a busy machine slows both alike. */
async function callsInTurns(calls: readonly (() => Promise<unknown>)[]): Promise<number[][]> {
  const samples: number[][] = calls.map(() => []);
  for (let run = -WARM_UP_CALLS; run < CALLS; run++) {
    for (const [index, call] of calls.entries()) {
      const begin = performance.now();
      await call();
      if (run >= 0) samples[index]!.push(performance.now() - begin);
    }
    // As callers come, not as fast as the machine can.
    await pause(2);
  }
  return samples;
}

/** Answers per second, of so many callers at once that each ask again as soon as they are answered. */
async function throughput(ask: () => Promise<Response>): Promise<{ rate: number; n: number }> {
  const one = async (until: number) => {
    let count = 0;
    while (performance.now() < until) {
      const response = await ask();
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${response.status} ${text}`);
      count++;
    }
    return count;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => one(performance.now() + 500)));
  const begin = performance.now();
  const counts = await Promise.all(Array.from({ length: AT_ONCE }, () => one(begin + THROUGHPUT_MS)));
  const n = counts.reduce((sum, count) => sum + count, 0);
  return { rate: n / ((performance.now() - begin) / 1000), n };
}

function perSecond(what: string, { rate, n }: { rate: number; n: number }, goal: number): Figure {
  return { what: `${what}, ${AT_ONCE} callers at once`, value: rate, unit: "/s", goal, spread: null, n };
}
