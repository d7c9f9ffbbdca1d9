import { match, strictEqual } from "node:assert/strict";
import { SecondHost, secondHostLack } from "./second_host.ts";

const lack = await secondHostLack();

async function ssh(host: SecondHost, ...command: string[]) {
  const args = ["-F", host.sshConfig, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "box", ...command];
  const { code, stdout, stderr } = await new Deno.Command("ssh", { args, stdin: "null" }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test({
  name: `a second host is reached by ssh, has dev-sessions and an agent, and keeps its disk over a reboot${
    lack === null ? "" : ` (${lack})`
  }`,
  ignore: lack !== null,
}, async () => {
  await using host = await SecondHost.start({ product: true, stub: true });
  const version = await ssh(host, "bash -lc 'dev-sessions --version'");
  match(version.stdout, /^\d+\.\d+\.\d+\n$/, version.stderr);
  const created = await ssh(host, "bash -lc 'dev-sessions create -q'");
  strictEqual(created.code, 0, created.stderr);
  const id = created.stdout.trim();
  strictEqual((await ssh(host, `bash -lc 'dev-sessions status ${id}'`)).stdout, "idle\n");
  await host.reboot();
  const status = await ssh(host, `bash -lc 'dev-sessions status ${id}'`);
  strictEqual(status.stdout, "gone\n", status.stderr);
});
