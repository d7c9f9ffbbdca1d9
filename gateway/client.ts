/** The commands of a container: all sessions are those behind the gateway, and every path is shown as the container has it. */

import { clientSettings, type PathMap } from "../lib/client_settings.ts";
import type { Deps } from "../lib/deps.ts";
import { AppError } from "../lib/errors.ts";
import type {
  CreateRequest,
  CreateResult,
  KillResult,
  KillSelector,
  ListedSession,
  PruneResult,
  PruneSelector,
  ResumeRequest,
  ResumeResult,
  WaitRequest,
  WaitResult,
} from "../lib/service.ts";
import type { Session, SessionId } from "../lib/session.ts";
import { type Carrier, CarrierError, WAIT_GRACE_MS } from "./carrier.ts";
import { HttpCarrier } from "./http_client.ts";
import { LastingCarrier } from "./lasting_carrier.ts";
import {
  killInContainer,
  listInContainer,
  pruneInContainer,
  sessionInContainer,
  toHost,
} from "./path_map.ts";
import { RemoteService } from "./remote_service.ts";
import { withinTime } from "./within_time.ts";

/** @throws AppError (usage) for settings that can't be used; the gateway is asked by the first operation. */
export async function openClient(
  deps: Pick<Deps, "env" | "clock" | "randomUuid" | "terminal">,
): Promise<RemoteService> {
  const { address, token, paths } = await clientSettings(deps.env);
  const note = (line: string) => deps.terminal.writeErr(`[dev-sessions] ${line}\n`);
  const http = new HttpCarrier({ address, token, clock: deps.clock, note });
  const carrier = new LastingCarrier(http, deps.clock);
  return new ContainerService(carrier, paths, deps);
}

export class ContainerService extends RemoteService {
  readonly #where: string;

  constructor(
    carrier: Carrier,
    private readonly paths: PathMap,
    private readonly deps: Pick<Deps, "clock" | "randomUuid">,
  ) {
    super(carrier, { randomUuid: deps.randomUuid, attachCommand: (id) => Promise.reject(notFromHere(id)) });
    this.#where = carrier.where;
  }

  /** Ends with the gateway's word, and a little after the request's own time at the latest. */
  override wait(request: WaitRequest, signal: AbortSignal): AsyncIterable<WaitResult> {
    return withinTime((stop) => super.wait(request, stop), {
      ms: request.timeoutMs + WAIT_GRACE_MS,
      clock: this.deps.clock,
      signal,
      tooLate: () =>
        new CarrierError(`Cannot go on waiting: ${this.#where} does not answer. Wait again`, {
          unsent: false,
        }),
    });
  }

  override async create(request: CreateRequest, signal: AbortSignal): Promise<CreateResult> {
    const path = request.host === undefined ? toHost(request.path, this.paths) : request.path;
    const made = await super.create({ ...request, path }, signal);
    return { ...made, session: sessionInContainer(made.session, this.paths) };
  }

  override async resume(request: ResumeRequest, signal: AbortSignal): Promise<ResumeResult> {
    const resumed = await super.resume(request, signal);
    return { ...resumed, session: sessionInContainer(resumed.session, this.paths) };
  }

  override async inspect(id: SessionId): Promise<Session> {
    return sessionInContainer(await super.inspect(id), this.paths);
  }

  override async list(options: Parameters<RemoteService["list"]>[0]): Promise<ListedSession[]> {
    return [...listInContainer(await super.list(options), this.paths)];
  }

  override async kill(selector: KillSelector): Promise<KillResult> {
    return killInContainer(await super.kill(selector), this.paths);
  }

  override async prune(selector: PruneSelector): Promise<PruneResult> {
    return pruneInContainer(await super.prune(selector), this.paths);
  }
}

function notFromHere(id: SessionId): AppError {
  return new AppError(
    "failure",
    `Cannot attach to "${id}": its terminal is on the host, not in this container. On the host, run: ` +
      `dev-sessions attach ${id}`,
  );
}
