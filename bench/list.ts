/** How long `list` takes with many sessions: rows through the store, live ones with processes and records. */

import { cli, emptyProgram, type Figure, figure, output, timeInTurns } from "./measure.ts";
import { World } from "./world.ts";

const RUNS = 25;
const ENDED = 1000;
const LIVE = 50;
const TRANSCRIPT_MB = 0.2;
const GOAL_MS = 60;

export async function benchList(): Promise<Figure[]> {
  await using world = await World.create();
  const { env, workspace } = world.sandbox;
  for (let i = 0; i < ENDED; i++) world.ended();
  for (let i = 0; i < LIVE; i++) await world.live(TRANSCRIPT_MB);
  const all = cli(["list", "--all"], env, workspace);
  const states = (await output(all)).split("\n").slice(2, -1).map((row) => row.split(/ {2,}/)[4]);
  const count = (state: string) => states.filter((found) => found === state).length;
  if (count("idle") !== LIVE || count("gone") !== ENDED) {
    throw new Error(`list --all shows ${count("idle")} idle and ${count("gone")} ended sessions`);
  }
  const [empty = [], every = [], live = []] = await timeInTurns(
    [emptyProgram(env, workspace), all, cli(["list"], env, workspace)],
    RUNS,
  );
  return [
    figure("empty program, beside list", empty),
    figure(`list --all (${ENDED} ended, ${LIVE} live)`, every, GOAL_MS),
    figure(`list (${LIVE} live of ${ENDED + LIVE})`, live),
  ];
}
