/** A `create` that ends well while another command looks for abandoned ones keeps its session. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { openService } from "../../lib/manager.ts";
import { realDeps } from "../../lib/real_deps.ts";
import { DRAFT, StoreHome } from "../support/store_home.ts";

Deno.test("a creator that finishes and exits between the two looks is not taken for a killed one", async () => {
  using home = new StoreHome();
  const store = home.open();
  const row = store.reserve(DRAFT, { id: "fizz-top", exclude: new Set() });
  store.recordHandle(row, {
    handle: { socket: "/s", tmuxSession: "dev-fizz-top", pane: "%1", configFolder: "/c", realPath: "/work" },
    process: null,
    agentSessionId: null,
  });
  const calls: string[][] = [];
  const service = await openService({
    ...realDeps(),
    env: { HOME: home.home, PATH: "/nowhere" },
    processStates: (identities) => {
      store.activate(row);
      return Promise.resolve(identities.map(() => "dead"));
    },
    run: (_, args) => {
      calls.push([...args]);
      return Promise.resolve({ kind: "exited", code: 0, stdout: "", stderr: "" });
    },
  });
  service.close();
  deepStrictEqual(calls, []);
  strictEqual(store.find("fizz-top")?.lifecycle, "active");
});
