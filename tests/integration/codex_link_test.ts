/** Several requests wait for one way to a Codex server: whoever gives it up ends none of the others. */

import { rejects } from "node:assert/strict";
import { Link } from "../../backends/codex/link.ts";
import type { Deps } from "../../lib/deps.ts";
import { realClock } from "../../lib/real_deps.ts";
import { eventually } from "../support/harness.ts";

Deno.test("a way that was given up does not end whoever comes while it ends", async () => {
  const home = await Deno.makeTempDir();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) connections.push(connection);
  })();
  const deps = { env: { HOME: home }, cwd: () => home, clock: realClock } as unknown as Deps;
  const url = `ws://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/`;
  const link = new Link(deps, { codexHome: `${home}/.codex`, url, tokenFile: null }, "agent");
  const [first, second] = [new AbortController(), new AbortController()];

  const one = rejects(link.server("find", first.signal), /the first one's/);
  await eventually(() => connections.length > 0, { what: "the first one's way" });
  first.abort(new Error("the first one's"));
  const other = rejects(link.server("find", second.signal), /the second one's/);
  await eventually(() => connections.length > 1, { what: "the second one's way" });
  second.abort(new Error("the second one's"));
  await Promise.all([one, other]);

  listener.close();
  await accepting.catch(() => {});
  for (const connection of connections) connection.close();
  await Deno.remove(home, { recursive: true });
});
