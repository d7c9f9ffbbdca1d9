/**
 * The gateway as a process: one registry and one manager for all requests, looked after now and then, and an end that
 * cuts nothing that is under way.
 */

import { readConfig } from "../lib/config.ts";
import type { Deps } from "../lib/deps.ts";
import { AppError, messageOf } from "../lib/errors.ts";
import { acquireLock } from "../lib/file_lock.ts";
import { type Manager, managerOf } from "../lib/manager.ts";
import { type Paths, pathsFrom } from "../lib/paths.ts";
import type { SessionService } from "../lib/service.ts";
import { openStore, type Store } from "../lib/store.ts";
import { Authenticator, type Caller } from "./authenticate.ts";
import { addressesOf, type Bind, shownAddress } from "./bind.ts";
import { Calls } from "./calls.ts";
import { Home } from "./home.ts";
import { allowedHosts } from "./hosts.ts";
import { HttpGateway } from "./http_server.ts";
import { Listeners } from "./listeners.ts";
import { Log } from "./log.ts";
import { keepSmall } from "./log_file.ts";
import { ensureMasterToken, MasterToken } from "./master_token.ts";
import { ScopedService } from "./scoped_service.ts";
import { RoutedService } from "./routed_service.ts";
import { prepareSocketFolder } from "./socket_folder.ts";

const UPKEEP_MS = 10_000;
/** Without a request for so long, what agents' servers share is let go of. */
const REST_AFTER_MS = 60_000;
/** For another gateway that is starting at the same time. */
const START_LOCK_MS = 10_000;

export interface GatewayOptions {
  readonly port: number;
  readonly binds: readonly Bind[];
  /** Null: the usual one. */
  readonly socketFolder: string | null;
  readonly allowHosts: readonly string[];
}

/** @throws AppError when it can't listen, or when registry or token can't be used; then nothing is left open. */
export async function startGateway(options: GatewayOptions, deps: Deps): Promise<RunningGateway> {
  const log = new Log(deps.clock, deps.terminal.writeErr);
  // What the core has to say comes as lines of the log, too.
  const inner: Deps = {
    ...deps,
    terminal: {
      ...deps.terminal,
      writeErr: (text) => log.say("warning", text.replace(/^\[dev-sessions\] /, "")),
    },
  };
  const paths = pathsFrom(deps.env);
  keepSmall(paths.gatewayLog, log);
  const { gatewayHosts } = readConfig(paths.config);
  const addresses = await addressesOf(options.binds, deps);
  const store = openStore(paths, {
    now: () => deps.clock.now(),
    randomUuid: deps.randomUuid,
    warn: inner.terminal.writeErr,
  });
  let listeners: Listeners | null = null;
  try {
    await ensureMasterToken(paths.gatewayToken);
    const manager = await managerOf(inner, store);
    const service = new RoutedService(Home.of(manager), { deps: inner, store });
    const gateway = new HttpGateway({
      deps,
      serviceOf: (caller) => serviceOf(caller, { manager, service, store, deps }),
      authenticator: new Authenticator(store, new MasterToken(paths.gatewayToken), deps.clock),
      calls: new Calls(deps.clock),
      log,
      hosts: allowedHosts([...addresses, ...options.allowHosts, ...gatewayHosts]),
    });
    listeners = new Listeners(deps, (...request) => gateway.handle(...request));
    const at = await listenAt(listeners, addresses, options, paths, deps);
    const where = [...addresses.map((address) => shownAddress(address, at.port)), at.socket];
    log.say("info", `listening on ${where.join(", ")}; the master token is in ${paths.gatewayToken}`);
    return new RunningGateway(at.port, {
      deps: inner,
      paths,
      store,
      manager,
      service,
      gateway,
      listeners,
      log,
    });
  } catch (error) {
    listeners?.close();
    store.close();
    throw error;
  }
}

/** One at a time, so that of two that start at once none takes the other's socket for one that was left. */
async function listenAt(
  listeners: Listeners,
  addresses: readonly string[],
  { port, socketFolder }: GatewayOptions,
  paths: Paths,
  { clock }: Deps,
): Promise<{ readonly port: number; readonly socket: string }> {
  await Deno.mkdir(paths.locks, { recursive: true, mode: 0o700 });
  const signal = new AbortController().signal;
  using lock = await acquireLock(`${paths.locks}/gateway`, { timeoutMs: START_LOCK_MS, clock, signal });
  if (lock === null) {
    throw new AppError("failure", "Cannot start the gateway: another one is just starting. Try again");
  }
  const socket = prepareSocketFolder(socketFolder ?? paths.gatewaySocketFolder);
  const bound = await listeners.openTcp(addresses, port);
  await listeners.openUnix(socket);
  return { port: bound, socket };
}

/** Made anew for each request, so that what one has read stays with it. */
function serviceOf(
  caller: Caller,
  { manager, service, store, deps }: Pick<Parts, "manager" | "service" | "store" | "deps">,
): SessionService {
  switch (caller.kind) {
    case "master":
      return service.forRequest();
    case "token": {
      const { id, scope, limits } = caller;
      // Nothing of other hosts.
      const own = manager.forRequest(limits);
      return new ScopedService({ id, scope }, { service: own, registry: store, now: () => deps.clock.now() });
    }
  }
}

interface Parts {
  readonly deps: Deps;
  readonly paths: Paths;
  readonly store: Store;
  readonly manager: Manager;
  readonly service: RoutedService;
  readonly gateway: HttpGateway;
  readonly listeners: Listeners;
  readonly log: Log;
}

export class RunningGateway {
  constructor(readonly port: number, private readonly parts: Parts) {}

  /**
   * Serves until the signal; what is under way comes to its end first.
   *
   * @throws AppError when it can't go on.
   */
  async serve(signal: AbortSignal): Promise<void> {
    const { gateway, listeners, log } = this.parts;
    const over = new AbortController();
    const end = () => over.abort();
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    const guard = gateway.guard(over.signal);
    try {
      await this.#lookAfter(over.signal);
    } finally {
      signal.removeEventListener("abort", end);
      end();
      log.say("info", `stopping; ${gateway.requests} requests are under way`);
      listeners.stop();
      await gateway.drain();
      listeners.close();
      await guard;
      await this.parts.service.close();
    }
  }

  async #lookAfter(over: AbortSignal): Promise<void> {
    const { deps: { clock }, paths, manager, service, gateway, log } = this.parts;
    let registry = identityOf(paths.database);
    let [served, servedAt, resting] = [0, clock.monotonic(), false];
    while (!over.aborted) {
      await clock.sleep(UPKEEP_MS, over);
      if (over.aborted) return;
      keepSmall(paths.gatewayLog, log);
      const found = identityOf(paths.database);
      registry ??= found;
      if (found !== null && found !== registry) {
        throw new AppError(
          "failure",
          `Cannot go on: the registry "${paths.database}" was moved or replaced. Start again`,
        );
      }
      try {
        await manager.rollBackAbandoned();
        if (gateway.requests > 0 || gateway.served !== served) {
          [served, servedAt, resting] = [gateway.served, clock.monotonic(), false];
        } else if (!resting && clock.monotonic() - servedAt >= REST_AFTER_MS) {
          resting = true;
          await service.rest();
        }
      } catch (error) {
        log.say("error", `upkeep failed, and is tried again: ${messageOf(error)}`);
      }
    }
  }
}

/** Which file has this name; null where that can't be told now, e.g. while a network file system does not answer. */
export function identityOf(path: string): string | null {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev} ${ino}`;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "none" : null;
  }
}
