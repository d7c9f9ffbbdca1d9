/** A container in which dev-sessions is used as an agent in one uses it: the bundle, a launcher, and a gateway of the host. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { bundle } from "../../build/bundle.ts";
import type { TestGateway } from "../support/gateway.ts";
import type { RunningCommand, RunOutput, RunSettings, Sandbox } from "../support/harness.ts";
import { type DockerEngine, HOST_PROGRAMS, IMAGE } from "./docker_engine.ts";

/** Where the container has the executable. */
export const PROGRAM_FOLDER = "/opt/dev-sessions";
const RUN_TIMEOUT_MS = 90_000;
const DENO_DIR = "/tmp/deno";

/**
 * A folder with `dev-sessions` as containers use it: the compiled file where DEV_SESSIONS_TEST_EXECUTABLE names one,
 * else the bundle with Deno and a launcher.
 */
export async function programFolder(parent: string): Promise<string> {
  const folder = join(parent, "program");
  await Deno.mkdir(folder, { recursive: true });
  const launcher = join(folder, "dev-sessions");
  const executable = Deno.env.get("DEV_SESSIONS_TEST_EXECUTABLE");
  if (executable) {
    await Deno.copyFile(executable, launcher);
  } else {
    await bundle(join(folder, "bundle"));
    await Deno.copyFile(Deno.execPath(), join(folder, "deno"));
    await Deno.writeTextFile(
      launcher,
      `#!/bin/sh\nexec ${PROGRAM_FOLDER}/deno run -A --quiet ${PROGRAM_FOLDER}/bundle/main.js "$@"\n`,
    );
  }
  await Deno.chmod(launcher, 0o755);
  await Deno.chmod(parent, 0o755);
  return folder;
}

export interface ClientOptions {
  readonly engine: DockerEngine;
  readonly sandbox: Sandbox;
  /** The folder of `programFolder()`; null when the image has it. */
  readonly program: string | null;
  readonly image?: string;
  /** `bridge`: reaches the host by the name host.docker.internal, which `--add-host` makes; `none`: no network at all. */
  readonly network: "bridge" | "bridge without a name" | "none";
  readonly user: "0:0" | "1000:1000";
  /** On the host, mounted at `at`. */
  readonly workspace: string;
  readonly at?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Further arguments of `docker run`. */
  readonly args?: readonly string[];
}

export class ClientContainer implements AsyncDisposable {
  private constructor(readonly options: ClientOptions, readonly id: string) {}

  static async start(options: ClientOptions): Promise<ClientContainer> {
    const { engine, program, network, user, workspace, at = "/workspace" } = options;
    const id = await engine.docker(
      "run",
      "--detach",
      "--init",
      "--pull",
      "never",
      ...(network === "none" ? ["--network", "none"] : []),
      ...(network === "bridge" ? ["--add-host", "host.docker.internal:host-gateway"] : []),
      "--user",
      user,
      ...HOST_PROGRAMS,
      ...(program === null ? [] : ["--volume", `${program}:${PROGRAM_FOLDER}:ro`]),
      "--volume",
      `${workspace}:${at}`,
      ...(options.args ?? []),
      "--workdir",
      at,
      options.image ?? IMAGE,
      "sleep",
      "infinity",
    );
    return new ClientContainer(options, id.trim().split("\n").at(-1)!);
  }

  /** Starts a program in it; it ends by itself, or with the container. */
  spawn(command: readonly string[], settings: RunSettings = {}): RunningCommand {
    const { engine, sandbox, workspace, at = "/workspace" } = this.options;
    const env: Record<string, string | undefined> = {
      PATH: `${PROGRAM_FOLDER}:/usr/local/bin:/usr/bin:/bin`,
      DENO_DIR,
      NO_COLOR: "1",
      LANG: "C.UTF-8",
      IS_SANDBOX: "1",
      HOST_PATH: workspace,
      CONTAINER_WORKSPACE: at,
      ...this.options.env,
      ...settings.env,
    };
    const args = Object.entries(env).flatMap(([name, value]) =>
      value === undefined ? [] : ["--env", `${name}=${value}`]
    );
    return sandbox.spawn("docker", [
      "exec",
      ...(settings.stdin === undefined ? [] : ["--interactive"]),
      ...args,
      this.id,
      ...command,
    ], {
      ...(settings.stdin === undefined ? {} : { stdin: settings.stdin }),
      env: { DOCKER_HOST: engine.host },
    });
  }

  /** Starts `dev-sessions` in it. */
  start(args: readonly string[], settings: RunSettings = {}): RunningCommand {
    return this.spawn(["dev-sessions", ...args], settings);
  }

  /** Runs `dev-sessions` in it to its end. */
  async run(args: readonly string[], settings: RunSettings = {}): Promise<RunOutput> {
    return await this.start(args, settings).doneWithin(
      settings.timeoutMs ?? RUN_TIMEOUT_MS,
      `dev-sessions ${args.join(" ")}`,
    );
  }

  /** As `run`, with this exit code; what it printed, without the line feed at its end. */
  async expect(code: number, args: readonly string[], settings: RunSettings = {}): Promise<string> {
    const output = await this.run(args, settings);
    strictEqual(output.code, code, `${args.join(" ")}: ${output.stdout}${output.stderr}`);
    return output.stdout.replace(/\n$/, "");
  }

  /** Runs a shell in it; what it printed. */
  async shell(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.spawn(["sh", "-c", script]).doneWithin(
      RUN_TIMEOUT_MS,
      script,
    );
    strictEqual(code, 0, `${script}: ${stdout}${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.options.engine.docker("rm", "--force", this.id);
  }
}

export type Way = "tcp" | "unix";

/** What a client needs to reach this gateway that way, with this token as a mounted file. */
export function reached(
  way: Way,
  gateway: TestGateway,
  tokenFile: string,
): Pick<ClientOptions, "network"> & { readonly args: string[]; readonly env: Record<string, string> } {
  const token = { DEV_SESSIONS_GATEWAY_TOKEN_FILE: "/run/gateway/token" };
  const mountToken = ["--volume", `${tokenFile}:/run/gateway/token:ro`];
  return way === "tcp"
    ? {
      network: "bridge",
      args: mountToken,
      env: { DEV_SESSIONS_GATEWAY_URL: `http://host.docker.internal:${gateway.port}`, ...token },
    }
    : {
      network: "none",
      args: [...mountToken, "--volume", `${gateway.socketFolder}:/run/gateway/socket:ro`],
      env: { DEV_SESSIONS_GATEWAY_URL: "unix:///run/gateway/socket/gateway.sock", ...token },
    };
}

/** A token in a file that the container's user can read. */
export async function tokenFile(sandbox: Sandbox, name: string, token: string): Promise<string> {
  const folder = await sandbox.folder("tokens");
  await Deno.chmod(sandbox.root, 0o755);
  const path = join(folder, name);
  await Deno.writeTextFile(path, `${token}\n`);
  await Deno.chmod(path, 0o644);
  return path;
}
