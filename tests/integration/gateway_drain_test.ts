/** A gateway that ends takes nothing more, also of a caller whom it was just getting to know. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Authenticator } from "../../gateway/authenticate.ts";
import { Calls } from "../../gateway/calls.ts";
import { allowedHosts } from "../../gateway/hosts.ts";
import { HttpGateway } from "../../gateway/http_server.ts";
import { Log } from "../../gateway/log.ts";
import { MasterToken } from "../../gateway/master_token.ts";
import { newMasterToken } from "../../gateway/tokens.ts";
import { openService } from "../../lib/manager.ts";
import { realClock, realDeps } from "../../lib/real_deps.ts";
import { StoreHome } from "../support/store_home.ts";

Deno.test("what is asked before the end, and known to be permitted after it, is not begun", async () => {
  using home = new StoreHome();
  const [path, token] = [`${home.home}/token`, newMasterToken()];
  await Deno.writeTextFile(path, token);
  const [looked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  // A disk that takes its time.
  const slowly = async (file: string) => {
    looked.resolve();
    await released.promise;
    return await Deno.readTextFile(file);
  };
  const service = await openService({ ...realDeps(), env: { HOME: home.home } });
  const lines: string[] = [];
  const gateway = new HttpGateway({
    deps: { clock: realClock },
    serviceOf: () => service,
    authenticator: new Authenticator(home.open(), new MasterToken(path, slowly), realClock),
    calls: new Calls(realClock),
    log: new Log(realClock, (line) => lines.push(line)),
    hosts: allowedHosts([]),
  });
  const server = createServer((request, response) => void gateway.handle("tcp", request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const headers = { authorization: `Bearer ${token}` };
  const asked = fetch(`http://127.0.0.1:${port}/v1/events`, { headers });
  await looked.promise;
  const drained = gateway.drain();
  released.resolve();
  const response = await asked;
  deepStrictEqual([response.status, (await response.json()).error.code], [503, "transport"]);
  await drained;
  strictEqual(lines.length, 1);
  await new Promise((resolve) => server.close(resolve));
  await service.close();
});
