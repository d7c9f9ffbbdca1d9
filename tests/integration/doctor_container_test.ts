/** In a container doctor looks at the way to the gateway, and not at what the host has. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { startGateway } from "../support/gateway.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";

interface Told {
  readonly check: string;
  readonly level: string;
  readonly what: string;
  readonly fix: { readonly text: string } | null;
}

async function examined(sandbox: Sandbox, env: Record<string, string | undefined>) {
  const { code, stdout } = await sandbox.run(["doctor", "--json"], {
    env: { DEV_SESSIONS_SANDBOX: "1", HOME: join(sandbox.root, "container"), ...env },
  });
  const { findings } = JSON.parse(stdout) as { findings: Told[] };
  const of = (name: string) => findings.find(({ check }) => check === name);
  return { code, of, names: findings.map(({ check }) => check) };
}

Deno.test("doctor in a container tells whether the gateway is reached, and what the workspace is on the host", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await sandbox.folder("container");
  await using gateway = await startGateway(sandbox);
  const env = { DEV_SESSIONS_GATEWAY_URL: gateway.url, DEV_SESSIONS_GATEWAY_TOKEN: gateway.master };

  const good = await examined(sandbox, { ...env, HOST_PATH: sandbox.workspace });
  strictEqual(good.code, 0);
  strictEqual(
    good.of("gateway")?.what,
    `the gateway ${gateway.url} answers: 0 live sessions can be seen from here`,
  );
  strictEqual(good.of("host-path")?.what, `/workspace is ${sandbox.workspace} on the host`);
  deepStrictEqual(["agents", "registry", "tmux"].filter((name) => good.names.includes(name)), []);

  const unmapped = await examined(sandbox, { ...env, HOST_PATH: undefined });
  deepStrictEqual([unmapped.code, unmapped.of("host-path")?.level], [0, "note"]);

  const stranger = await examined(sandbox, { ...env, DEV_SESSIONS_GATEWAY_TOKEN: `dst_${"x".repeat(43)}` });
  deepStrictEqual([stranger.code, stranger.of("gateway")?.level], [1, "problem"]);
  match(stranger.of("gateway")?.what ?? "", /token/);

  const nobody = await examined(sandbox, { ...env, DEV_SESSIONS_GATEWAY_URL: "http://127.0.0.1:2" });
  deepStrictEqual([nobody.code, nobody.of("gateway")?.level], [1, "problem"]);
  match(`${nobody.of("gateway")?.what} ${nobody.of("gateway")?.fix?.text}`, /dev-sessions gateway/);

  const selftest = await sandbox.run(["doctor", "--selftest", "--yes"], {
    env: { DEV_SESSIONS_SANDBOX: "1" },
  });
  strictEqual(selftest.code, 1);
  match(selftest.stderr, /^Cannot run the self-test in a container: .* dev-sessions doctor --selftest$/m);
});
