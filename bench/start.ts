/** How long the command that everything else is built on takes to start. */

import { cli, emptyProgram, type Figure, figure, timeInTurns } from "./measure.ts";
import { World } from "./world.ts";

const RUNS = 40;
const VERSION_GOAL_MS = 25;
const STATUS_GOAL_MS = 35;

export async function benchStart(): Promise<Figure[]> {
  await using world = await World.create();
  const { env, workspace } = world.sandbox;
  const { session } = await world.live(1);
  const [empty = [], version = [], help = [], status = []] = await timeInTurns([
    emptyProgram(env, workspace),
    cli(["--version"], env, workspace),
    cli(["send", "--help"], env, workspace),
    cli(["status", session.id], env, workspace),
  ], RUNS);
  return [
    figure("empty program (deno run -A empty.js)", empty),
    figure("--version", version, VERSION_GOAL_MS),
    figure("send --help", help),
    figure("status", status, STATUS_GOAL_MS),
  ];
}
