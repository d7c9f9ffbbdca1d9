/** What ssh adds to a call: `status` on a second host, asked from here and on the host itself. As root: deno run -A bench/ssh.ts */

import { SshWorld } from "../tests/hosts/ssh_world.ts";

const ROUNDS = 30;

await using world = await SshWorld.start();
const dist = `${world.sandbox.root}/dist`;
const run = async (program: string, args: string[]) => {
  const began = performance.now();
  const { success } = await new Deno.Command(program, { args, env: world.sandbox.env, clearEnv: true })
    .output();
  if (!success) throw new Error(`${program} ${args.join(" ")} failed`);
  return performance.now() - began;
};
await run(Deno.execPath(), [
  "run",
  "-A",
  "--quiet",
  new URL("../build/bundle.ts", import.meta.url).pathname,
  dist,
]);
const id = await world.create();
const here = () => run(Deno.execPath(), ["run", "-A", "--quiet", `${dist}/main.js`, "status", id]);
/** In a shell that is there already, so that neither a login nor its profile is counted. */
const timed = `for i in 1 2 3; do s=$(date +%s%N); dev-sessions status ${id} >/dev/null; e=$(date +%s%N); ` +
  `echo $(( (e-s)/1000 )); done`;
const there = async () =>
  (await world.host.shell(timed)).stdout.trim().split("\n").map((us) => Number(us) / 1000);

await here();
const times: { here: number[]; there: number[] } = { here: [], there: [] };
for (let round = 0; round < ROUNDS; round++) {
  times.here.push(await here());
  times.there.push(...await there());
}
const figure = (values: number[]) => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => Math.round(sorted[Math.floor(part * sorted.length)] ?? 0);
  return `min ${at(0)} ms, quarter ${at(0.25)} ms, median ${at(0.5)} ms`;
};
await Deno.stdout.write(new TextEncoder().encode(
  `status through ssh: ${figure(times.here)}\nstatus on the host: ${figure(times.there)}\n`,
));
