import { match, strictEqual } from "node:assert/strict";
import { SecondHost, secondHostLack } from "./second_host.ts";

const lack = await secondHostLack();

Deno.test({
  name: `a second host is reached by ssh, has dev-sessions and an agent, and keeps its disk over a reboot${
    lack === null ? "" : ` (${lack})`
  }`,
  ignore: lack !== null,
}, async () => {
  await using host = await SecondHost.start({ product: true, stub: true });
  const version = await host.ssh("dev-sessions --version");
  match(version.stdout, /^\d+\.\d+\.\d+\n$/, version.stderr);
  const created = await host.ssh("dev-sessions create -q");
  strictEqual(created.code, 0, created.stderr);
  const id = created.stdout.trim();
  strictEqual((await host.ssh(`dev-sessions status ${id}`)).stdout, "idle\n");
  await host.reboot();
  const status = await host.ssh(`dev-sessions status ${id}`);
  strictEqual(status.stdout, "gone\n", status.stderr);
});
