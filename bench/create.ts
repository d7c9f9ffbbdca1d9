/** Whether a hundred `create`s at once all succeed, with a stand-in for the agent. */

import { join } from "node:path";
import { createSandbox } from "../tests/support/harness.ts";
import { cli, type Figure, figure, output } from "./measure.ts";

const SESSIONS = 100;
const READY_TIMEOUT_S = "240";
const GOAL_S = 120;

export async function benchCreate(): Promise<Figure[]> {
  await using sandbox = await createSandbox({ agent: "stub" });
  await Deno.mkdir(join(sandbox.home, ".dev-sessions"), { mode: 0o700 });
  await Deno.writeTextFile(
    join(sandbox.home, ".dev-sessions", "config.json"),
    JSON.stringify({ maxSessions: SESSIONS }),
  );
  const dev = (...args: string[]) => cli(args, sandbox.env, sandbox.workspace);
  const alone: number[] = [];
  const first: string[] = [];
  for (let run = 0; run < 5; run++) {
    const begin = performance.now();
    first.push((await output(dev("create", "-q"))).trim());
    alone.push(performance.now() - begin);
  }
  await output(dev("kill", ...first));

  const begin = performance.now();
  const settled = await Promise.allSettled(
    Array.from({ length: SESSIONS }, () => output(dev("create", "-q", "--ready-timeout", READY_TIMEOUT_S))),
  );
  const seconds = (performance.now() - begin) / 1000;
  const failures = settled.filter((one) => one.status === "rejected");
  const ids = new Set(settled.flatMap((one) => one.status === "fulfilled" ? [one.value.trim()] : []));
  const listed = JSON.parse(await output(dev("list", "--json"))) as { id: string; state: string }[];
  const lost = [...ids].filter((id) => !listed.some((row) => row.id === id && row.state === "idle"));
  for (const id of lost) warn(`${id} is lost: ${await output(dev("status", id, "--explain"))}`);
  const count = (what: string, value: number): Figure => ({
    what: `${SESSIONS} parallel creates: ${what}`,
    value,
    unit: "",
    goal: 0,
    spread: null,
    n: SESSIONS,
  });
  for (const one of failures) warn(String(one.reason));
  return [
    figure("create, stub agent, one at a time", alone),
    {
      ...count("until the last has returned", seconds),
      unit: "s",
      goal: GOAL_S,
    },
    count("failed", failures.length),
    count("same id twice", SESSIONS - failures.length - ids.size),
    count("lost (not idle in list)", lost.length),
  ];
}

function warn(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text.trim()}\n`));
}
