/** The sessions of a sandbox behind a gateway, and commands that run in a container of it. */

import { join } from "node:path";
import { openService } from "../../lib/manager.ts";
import { realDeps } from "../../lib/real_deps.ts";
import type { RunSettings, Sandbox } from "./harness.ts";
import { startWireServer, type WireServer, type WireServerOptions } from "./wire_server.ts";

export class ContainerWorld implements AsyncDisposable {
  private constructor(
    readonly sandbox: Sandbox,
    readonly service: Awaited<ReturnType<typeof openService>>,
    public server: WireServer,
  ) {}

  static async open(
    sandbox: Sandbox,
    options: Omit<WireServerOptions, "service"> = {},
  ): Promise<ContainerWorld> {
    const deps = { ...realDeps(), env: sandbox.env, cwd: () => sandbox.workspace };
    const service = await openService(deps);
    return new ContainerWorld(sandbox, service, startWireServer({ service, ...options }));
  }

  /** The same port, another life. */
  async restart(options: Omit<WireServerOptions, "service" | "port"> = {}): Promise<void> {
    const { port } = this.server;
    await this.server.cut();
    this.server = startWireServer({ service: this.service, ...options, port });
  }

  settings(given: RunSettings = {}): RunSettings {
    return {
      ...given,
      env: {
        // Neither sessions nor a registry of its own.
        HOME: join(this.sandbox.root, "container"),
        TMUX_TMPDIR: "/nonexistent",
        DEV_SESSIONS_SANDBOX: "1",
        DEV_SESSIONS_GATEWAY_URL: this.server.url,
        HOST_PATH: this.sandbox.workspace,
        CONTAINER_WORKSPACE: "/workspace",
        ...given.env,
      },
    };
  }

  run(args: readonly string[], given: RunSettings = {}) {
    return this.sandbox.run(args, this.settings(given));
  }
  start(args: readonly string[], given: RunSettings = {}) {
    return this.sandbox.start(args, this.settings(given));
  }
  async asked(operation: string): Promise<void> {
    await this.sandbox.eventually(
      () => this.server.asked.some((one) => one.operation === operation),
      { what: `${operation} was asked` },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.cut();
    await this.service.close();
  }
}
