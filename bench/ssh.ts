/** What ssh adds to a call: `status` of a session on a second host, asked from here and on that host itself. Root only. */

import { lack, SshWorld } from "../tests/hosts/ssh_world.ts";
import { cli, type Figure, figure, time } from "./measure.ts";

const ROUNDS = 25;
const GOAL_ADDED_MS = 60;

/** None where no second host can be made; stderr says why. */
export async function benchSsh(): Promise<Figure[]> {
  if (lack !== null) {
    await Deno.stderr.write(new TextEncoder().encode(`ssh is not measured: ${lack}\n`));
    return [];
  }
  await using world = await SshWorld.start();
  const { sandbox, host } = world;
  const id = await world.create();
  // In a shell that is there already, so that neither a login nor its profile is counted.
  const timed =
    `s=$(date +%s%N); dev-sessions status ${id} >/dev/null; e=$(date +%s%N); echo $(( (e-s)/1000 ))`;
  const there = async () => Number((await host.shell(`${timed} >/dev/null; ${timed}`)).stdout) / 1000;
  const here = () => time(cli(["status", id], sandbox.env, sandbox.workspace));

  await here();
  const samples: { here: number[]; there: number[] } = { here: [], there: [] };
  for (let round = 0; round < ROUNDS; round++) {
    samples.there.push(await there());
    samples.here.push(await here());
  }
  const added = samples.here.map((ms, index) => ms - samples.there[index]!);
  return [
    figure("status, on another host itself", samples.there),
    figure("status, of a session on another host", samples.here),
    figure("what ssh adds to a call, connection shared", added, GOAL_ADDED_MS),
  ];
}
