/** A user of this machine with a sandbox of their own, and `box`, the second host, in their configuration of ssh. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type RunSettings, type Sandbox } from "../support/harness.ts";
import type { RunOutput } from "../support/running_command.ts";
import { type JsonOutput, runJson } from "../support/stub_session.ts";
import { type Furniture, SecondHost, secondHostLack } from "./second_host.ts";

export const lack = await secondHostLack();

export class SshWorld implements AsyncDisposable {
  private constructor(readonly sandbox: Sandbox, readonly host: SecondHost) {}

  static async start(furniture: Furniture = { product: true, stub: true }): Promise<SshWorld> {
    const host = await SecondHost.start(furniture);
    try {
      const world = new SshWorld(await createSandbox({ agent: "stub" }), host);
      // The home folder of a test is too long for the sockets of shared connections.
      const runtime = join(world.sandbox.root, "r");
      await Deno.mkdir(runtime, { mode: 0o700 });
      world.sandbox.env["XDG_RUNTIME_DIR"] = runtime;
      await world.useSsh([]);
      return world;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  /** What stands before all of the program's own options: the first one counts. */
  async useSsh(options: readonly string[], before = ""): Promise<void> {
    const words = ["-F", this.host.sshConfig, ...options].map((word) => `'${word}'`).join(" ");
    const log = join(this.sandbox.root, "ssh.log");
    await Deno.writeTextFile(
      join(this.sandbox.root, "bin", "ssh"),
      `#!/bin/sh\n${before}\nprintf '%s\\n' "$*" >>'${log}'\nexec /usr/bin/ssh ${words} "$@"\n`,
      { mode: 0o755 },
    );
  }

  /** The arguments of every ssh so far. */
  async sshLog(): Promise<string> {
    return await Deno.readTextFile(join(this.sandbox.root, "ssh.log")).catch(() => "");
  }

  /** Ends the connection that is kept. */
  async hangUp(): Promise<void> {
    const folder = join(this.sandbox.root, "r", "dev-sessions-ssh");
    const ssh = join(this.sandbox.root, "bin", "ssh");
    await this.sandbox.spawn(ssh, ["-o", `ControlPath=${folder}/%C`, "-O", "exit", "box"]).done();
    await this.sandbox.eventually(async () => {
      const kept = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
      return kept.every(({ isFile, isDirectory }) => isFile || isDirectory);
    }, { what: "the connection's socket is gone" });
  }

  run(...args: string[]): Promise<RunOutput> {
    return this.sandbox.run(args);
  }

  /** What it printed, after a success. */
  async ok(args: readonly string[], settings: RunSettings = {}): Promise<string> {
    const { code, stdout, stderr } = await this.sandbox.run(args, settings);
    strictEqual(code, 0, `${args.join(" ")}: ${stderr}`);
    return stdout.trimEnd();
  }

  json(...args: string[]): Promise<JsonOutput> {
    return runJson(this.sandbox, args);
  }

  /** A session on the second host; its id. */
  create(...args: string[]): Promise<string> {
    return this.ok(["create", "-q", "--host", "box", ...args]);
  }

  /** The ids of `dev-sessions list --all` run on the second host itself. */
  async idsThere(): Promise<string[]> {
    const { stdout, code, stderr } = await this.host.shell("dev-sessions list --all --json");
    strictEqual(code, 0, stderr);
    return JSON.parse(stdout).map(({ id }: { id: string }) => id);
  }

  /** A file that an agent there waits for. */
  gate(name: string): { readonly path: string; readonly open: () => Promise<void> } {
    const path = `/home/dev/${name}`;
    return { path, open: () => this.host.write(path, "") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.sandbox.close();
    } finally {
      await this.host.close();
    }
  }
}
