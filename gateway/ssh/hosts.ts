/** The services of other hosts: one for each host and command, for as long as the process lasts. */

import type { Place } from "../frames.ts";
import { LastingCarrier } from "../lasting_carrier.ts";
import { RemoteService } from "../remote_service.ts";
import type { TerminalCommand } from "../../lib/service.ts";
import { SshCarrier, type SshWorld } from "./carrier.ts";
import { type Destination, sshArguments } from "./command.ts";
import { controlPath } from "./control_path.ts";

export class HostService extends RemoteService {
  readonly #ssh: SshCarrier;

  constructor(ssh: SshCarrier, { env, clock }: SshWorld, randomUuid: () => string) {
    super(new LastingCarrier(ssh, clock), {
      randomUuid,
      attachCommand: (id) => Promise.resolve(attachCommand(ssh.destination, id, env)),
    });
    this.#ssh = ssh;
  }

  get host(): string {
    return this.#ssh.destination.host;
  }

  /** What the sessions there live in. @throws AppError when there is no way to dev-sessions there. */
  async place(signal?: AbortSignal): Promise<Place> {
    return await this.#ssh.place(signal);
  }

  /** The id of the registry there, as it was last said; null: not yet, or never. */
  get registry(): string | null {
    return this.#ssh.lastPlace.registry;
  }

  /** Whatever is under way. */
  abandon(): void {
    this.#ssh.abandon();
  }
}

export class Hosts {
  readonly #services = new Map<string, HostService>();

  constructor(private readonly world: SshWorld, private readonly randomUuid: () => string) {}

  at({ host, remoteBin }: Destination): HostService {
    const name = JSON.stringify([host, remoteBin]);
    let service = this.#services.get(name);
    if (service === undefined) {
      service = new HostService(new SshCarrier({ host, remoteBin }, this.world), this.world, this.randomUuid);
      this.#services.set(name, service);
    }
    return service;
  }

  /** Doesn't wait for anything. */
  close(): void {
    for (const service of this.#services.values()) service.abandon();
    this.#services.clear();
    this.world.started.close();
  }
}

function attachCommand(destination: Destination, id: string, env: SshWorld["env"]): TerminalCommand {
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  const task = { kind: "attach", id, utf8: /utf-?8/i.test(locale) } as const;
  const args = sshArguments(destination, task, controlPath(env, Deno.uid() ?? 0));
  return { command: "ssh", args, env };
}
