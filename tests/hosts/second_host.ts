/** A second host with systemd, sshd and tmux in namespaces of its own; gone with the test, and this machine as it was. */

import { dirname, join } from "node:path";
import { launcherScript } from "../../build/launcher.ts";
import { RunningCommand, type RunOutput } from "../support/running_command.ts";

/** What may be put on it. */
export interface Furniture {
  /** `claude` becomes the stub agent. */
  readonly stub?: boolean;
  /** The real agents, where these name their executables here. */
  readonly claude?: string;
  readonly codex?: string;
  /** dev-sessions of this checkout, in the user's `~/.local/bin`. */
  readonly product?: boolean;
}

export interface CommandSettings {
  readonly stdin?: string | Uint8Array<ArrayBuffer>;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

const HERE = import.meta.dirname ?? "";
const SSH_PORT = 22;
const REACHABLE_TIMEOUT_MS = 30_000;
const CHECKOUT = join(HERE, "..", "..");
const SCRIPT = join(HERE, "second_host.sh");
const SCRIPT_LIMIT_MS = 60_000;
const COMMAND_LIMIT_MS = 60_000;
const NEEDED = ["unshare", "nsenter", "ip", "/lib/systemd/systemd", "/usr/sbin/sshd", "ssh", "ssh-keygen"];

/** The user on the second host. */
export const USER = "dev";
export const USER_HOME = "/home/dev";
/** Where dev-sessions' own Deno and bundle stand there. */
export const PROGRAM_FOLDER = "/opt/dev-sessions-test";

/** Why no second host can be had on this machine; null when it can. */
export async function secondHostLack(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "it needs Linux";
  if (Deno.uid() !== 0) return "it needs root";
  for (const program of NEEDED) {
    if (program.startsWith("/")) {
      if (!await Deno.stat(program).then(() => true, () => false)) return `it needs ${program}`;
    } else if ((await command("sh", ["-c", 'command -v "$1"', "sh", program])).code !== 0) {
      return `it needs ${program}`;
    }
  }
  return null;
}

export class SecondHost implements AsyncDisposable {
  #closed: Promise<void> | null = null;

  private constructor(
    readonly root: string,
    readonly address: string,
  ) {}

  /** Of this machine, as the second host sees it. */
  get neighbour(): string {
    return this.address.replace(/\.2$/, ".1");
  }
  /** Private key that `dev` accepts. */
  get identity(): string {
    return join(this.root, "identity");
  }

  /** For `ssh -F`; the host is called `box` there, and its key is known. */
  get sshConfig(): string {
    return join(this.root, "ssh_config");
  }

  static async start(furniture: Furniture = {}): Promise<SecondHost> {
    await Deno.mkdir("/run/sshd", { recursive: true });
    const root = await Deno.realPath(await Deno.makeTempDir({ dir: "/tmp", prefix: "dh" }));
    const key = join(root, "identity");
    await must("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    let address: string;
    try {
      address = (await script(["start", join(root, "host"), `${key}.pub`])).trim();
    } catch (error) {
      await script(["stop", join(root, "host")]).catch(() => {});
      await Deno.remove(root, { recursive: true });
      throw error;
    }
    const host = new SecondHost(root, address);
    try {
      await host.#writeSshConfig();
      if (furniture.product || furniture.stub) await host.#bringDeno();
      if (furniture.product) await host.#bringProduct();
      if (furniture.stub) await host.#bringStub();
      for (const name of ["claude", "codex"] as const) {
        const executable = furniture[name];
        if (executable !== undefined) await host.#bring(executable, `/usr/local/bin/${name}`);
      }
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  /** Runs as root on the host, whether it can be reached over the network or not. */
  exec(args: readonly string[], settings: CommandSettings = {}): Promise<RunOutput> {
    return command(SCRIPT, ["exec", join(this.root, "host"), ...args], settings);
  }

  /** A line for the user's login shell there, over no network, with the user's own systemd at hand. */
  shell(line: string, settings: CommandSettings = {}): Promise<RunOutput> {
    const runtime = "XDG_RUNTIME_DIR=/run/user/1999";
    return this.exec([
      "runuser",
      "-u",
      USER,
      "--",
      "env",
      "-C",
      USER_HOME,
      runtime,
      `HOME=${USER_HOME}`,
      "bash",
      "-lc",
      line,
    ], settings);
  }

  /** As a person logs in: a line for the user's shell over ssh. */
  ssh(line: string, settings: CommandSettings = {}): Promise<RunOutput> {
    const args = ["-F", this.sshConfig, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "box", "--"];
    return command("ssh", [...args, `bash -lc '${line.replaceAll("'", `'\\''`)}'`], settings);
  }

  /** A file with the folders above it; the user's own where it stands in the user's home. */
  async write(path: string, content: string | Uint8Array<ArrayBuffer>, mode = "644"): Promise<void> {
    const line = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"';
    const as = path.startsWith(`${USER_HOME}/`) ? ["runuser", "-u", USER, "--"] : [];
    const written = await this.exec([...as, "sh", "-c", line, "sh", path, mode], { stdin: content });
    if (written.code !== 0) throw new Error(`Cannot write ${path} on the second host: ${written.stderr}`);
  }

  /** Cuts or mends its network; mended, its sshd can be reached when this returns. */
  async link(state: "up" | "down"): Promise<void> {
    await script(["link", join(this.root, "host"), state]);
    if (state === "up") await this.#reachable();
  }

  /** For a moment after an outage the kernel still takes the address for one that nobody has. */
  async #reachable(): Promise<void> {
    const deadline = performance.now() + REACHABLE_TIMEOUT_MS;
    for (;;) {
      try {
        (await Deno.connect({ hostname: this.address, port: SSH_PORT })).close();
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** All processes end; what is on its disk stays. */
  async reboot(): Promise<void> {
    await script(["reboot", join(this.root, "host")]);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await script(["stop", join(this.root, "host")]);
    await Deno.remove(this.root, { recursive: true });
  }

  async #writeSshConfig(): Promise<void> {
    const { stdout } = await this.exec(["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]);
    const known = join(this.root, "known_hosts");
    await Deno.writeTextFile(known, `${this.address} ${stdout.trim()}\n`);
    const lines = [
      "Host box",
      `  HostName ${this.address}`,
      `  User ${USER}`,
      `  IdentityFile ${this.identity}`,
      "  IdentitiesOnly yes",
      `  UserKnownHostsFile ${known}`,
      "  HostKeyAlgorithms ssh-ed25519",
    ];
    await Deno.writeTextFile(this.sshConfig, lines.join("\n") + "\n");
  }

  async #bringDeno(): Promise<void> {
    await this.#bring(Deno.realPathSync(Deno.execPath()), `${PROGRAM_FOLDER}/deno`);
  }

  async #bringProduct(): Promise<void> {
    const bundle = join(this.root, "dist");
    await must(Deno.execPath(), ["run", "-A", "--quiet", join(CHECKOUT, "build", "bundle.ts"), bundle]);
    await this.#bring(bundle, `${PROGRAM_FOLDER}/dist`);
    const executable = `${USER_HOME}/.local/bin/dev-sessions`;
    await this.write(
      executable,
      launcherScript({ executable, deno: `${PROGRAM_FOLDER}/deno`, main: `${PROGRAM_FOLDER}/dist/main.js` }),
      "755",
    );
  }

  async #bringStub(): Promise<void> {
    await this.#bring(join(CHECKOUT, "tests", "support"), `${PROGRAM_FOLDER}/support`);
    const run = "run -A --no-check --quiet --cached-only --no-config --no-lock";
    await this.write(
      "/usr/local/bin/claude",
      `#!/bin/sh\nexec ${PROGRAM_FOLDER}/deno ${run} ${PROGRAM_FOLDER}/support/stub_agent.ts "$@"\n`,
      "755",
    );
  }

  /** Copies a file or a folder, readable for all. */
  async #bring(from: string, to: string): Promise<void> {
    const line =
      'tar -C "$1" -c "$2" | "$3" exec "$4" sh -c \'mkdir -p "$(dirname "$2")" && tar -x --no-same-owner ' +
      '-C "$(dirname "$2")" && { [ "$1" = "$(basename "$2")" ] || mv "$(dirname "$2")/$1" "$2"; } && chmod -R a+rX "$2"\' sh "$2" "$5"';
    const name = from.slice(from.lastIndexOf("/") + 1);
    await must("bash", [
      "-o",
      "pipefail",
      "-c",
      line,
      "bash",
      dirname(from),
      name,
      SCRIPT,
      join(this.root, "host"),
      to,
    ]);
  }
}

async function script(args: readonly string[]): Promise<string> {
  return await must(SCRIPT, args);
}

/** @throws Error with the output when it fails. */
async function must(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await command(program, args, { timeoutMs: SCRIPT_LIMIT_MS });
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}

async function command(
  program: string,
  args: readonly string[],
  { stdin, env = {}, timeoutMs = COMMAND_LIMIT_MS }: CommandSettings = {},
): Promise<RunOutput> {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return await new RunningCommand(child, stdin).doneWithin(timeoutMs, `${program} ${args.join(" ")}`);
}
