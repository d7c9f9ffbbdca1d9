/** Whether a long conversation costs more than a short one, in time and in memory. */

import {
  cli,
  type Figure,
  figure,
  output,
  peakMegabytes,
  quantile,
  spreadOf,
  timeInTurns,
} from "./measure.ts";
import { World } from "./world.ts";

const RUNS = 25;
const MEMORY_RUNS = 5;
const LONG_MB = 200;
const SHORT_MB = 1;
const DIFFERENCE_GOAL_MS = 15;
const MEMORY_GOAL_MB = 90;

export async function benchTranscript(): Promise<Figure[]> {
  await using world = await World.create();
  const { env, workspace } = world.sandbox;
  const short = await world.live(SHORT_MB);
  const long = await world.live(LONG_MB);
  const figures: Figure[] = [];
  for (const verb of ["last-message", "status"]) {
    const programs = [short, long].map(({ session }) => cli([verb, session.id], env, workspace));
    for (const program of programs) {
      const expected = verb === "status" ? "idle" : "All 214 tests pass";
      if (!(await output(program)).startsWith(expected)) throw new Error(`${verb} printed something else`);
    }
    const [ofShort = [], ofLong = []] = await timeInTurns(programs, RUNS);
    const differences = ofLong.map((ms, run) => ms - ofShort[run]!);
    const peaks: number[] = [];
    for (let run = 0; run < MEMORY_RUNS; run++) peaks.push(await peakMegabytes(programs[1]!));
    figures.push(
      figure(`${verb}, ${SHORT_MB} MB transcript`, ofShort),
      figure(`${verb}, ${LONG_MB} MB transcript`, ofLong),
      figure(`${verb}, ${LONG_MB} MB beyond ${SHORT_MB} MB`, differences, DIFFERENCE_GOAL_MS),
      {
        what: `${verb}, ${LONG_MB} MB: peak memory`,
        value: quantile(peaks, 0.5),
        unit: "MB",
        goal: MEMORY_GOAL_MB,
        spread: spreadOf(peaks),
        n: MEMORY_RUNS,
      },
    );
  }
  return figures;
}
