import assert from "node:assert/strict";
import { identify, processStates, type RunPs } from "../../lib/process_identity.ts";

const LINUX = Deno.build.os === "linux";

const never: RunPs = () => Promise.reject(new Error("No subprocess on Linux"));

const run: RunPs = async (command, args, options) => {
  if (LINUX && command === "sysctl") return { kind: "exited", code: 0, stdout: "boot\n", stderr: "" };
  const output = await new Deno.Command(command, { args: [...args], env: { ...options.env }, clearEnv: true })
    .output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { kind: "exited", code: output.code, stdout: stdout ?? "", stderr: stderr ?? "" };
};

const PLATFORMS = LINUX ? [["proc", never], ["ps", run]] as const : [["ps", run]] as const;

for (const [platform, runPs] of PLATFORMS) {
  Deno.test(`identify() and processStates() follow a process from life to death (${platform})`, async () => {
    const child = new Deno.Command("sleep", { args: ["600"], stdin: "null" }).spawn();
    const identity = await identify(child.pid, runPs, platform);
    assert.ok(identity);
    const self = await identify(Deno.pid, runPs, platform);
    assert.ok(self);
    assert.deepEqual(await identify(child.pid, runPs, platform), identity);
    const reused = { ...identity, start: "0" };
    const elsewhere = { ...identity, machine: "elsewhere/host/1" };
    assert.deepEqual(await processStates([identity, self, reused, elsewhere], runPs, platform), [
      ...["alive", "alive", "dead", "unknown"],
    ]);
    child.kill("SIGKILL");
    await child.status;
    assert.deepEqual(await processStates([identity, self], runPs, platform), ["dead", "alive"]);
    assert.equal(await identify(child.pid, runPs, platform), null);
  });
}

Deno.test({
  name: "processStates() calls a zombie dead (proc)",
  ignore: !LINUX,
  fn: async () => {
    // The shell becomes `sleep`, which never waits for the child that it inherits. The child lives until then.
    const script = "exec 3<&0; cat <&3 >/dev/null & echo $!; exec 3<&-; exec sleep 600 </dev/null";
    const parent = new Deno.Command("sh", { args: ["-c", script], stdin: "piped", stdout: "piped" }).spawn();
    try {
      const reader = parent.stdout.getReader();
      const { value } = await reader.read();
      await reader.cancel();
      const pid = Number(new TextDecoder().decode(value));
      const identity = await identify(Deno.pid, never);
      assert.ok(identity);
      await until(() => Deno.readTextFileSync(`/proc/${parent.pid}/comm`).trim() === "sleep");
      await parent.stdin.close();
      await until(() => stateOf(pid) === "Z");
      assert.equal(await identify(pid, never), null);
      assert.deepEqual(await processStates([{ ...identity, pid }], never), ["dead"]);
    } finally {
      parent.kill("SIGKILL");
      await parent.status;
    }
  },
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 1));
}

function stateOf(pid: number): string {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2)[0] ?? "";
}
