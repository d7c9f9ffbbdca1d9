/** install.sh in a sandbox: its own home, a server of releases, and stand-ins for the executable that it installs. */

import { join } from "node:path";
import {
  createSandbox,
  type RunningCommand,
  type RunOutput,
  type RunSettings,
  type Sandbox,
} from "./harness.ts";
import { ReleaseServer } from "./release_server.ts";

export const INSTALL_SH = join(import.meta.dirname ?? "", "..", "..", "install.sh");
/** Shells that install.sh must run under. */
export const SHELLS = { "dash": ["dash"], "busybox sh": ["busybox", "sh"] } as const;
export type Shell = readonly [string, ...string[]];

export interface StandIn {
  readonly version: string;
  /** Has `install-skill`. */
  readonly skills?: boolean;
  /** Has `gateway install`. */
  readonly gateway?: boolean;
  /** Has these commands, and fails at them. */
  readonly failing?: boolean;
}

/**
 * A program that answers as dev-sessions does to what the installer asks of it. It notes calls in `$HOME/calls`, says
 * that the sessions in `$HOME/live` are live, and `sit` runs until there is a `$HOME/stop`.
 */
export function standIn({ version, skills = false, gateway = false, failing = false }: StandIn): string {
  const known = (has: boolean, answer: string) => has ? answer : `echo "No command: $*" >&2; exit 2`;
  const note = `echo "$*" >>"$HOME/calls"; ${failing ? "echo broken >&2; exit 1" : "exit 0"}`;
  return `#!/bin/sh
case "$*" in
  --version) echo ${version} ;;
  "help install-skill") ${known(skills, "exit 0")} ;;
  install-skill*) ${known(skills, note)} ;;
  "gateway install --help" | "gateway uninstall --help") ${known(gateway, 'echo "Usage: $0 $1 $2"')} ;;
  "gateway install" | "gateway uninstall") ${known(gateway, note)} ;;
  "list --all --json") cat "$HOME/live"; [ ! -e "$HOME/warning" ] || cat "$HOME/warning" >&2 ;;
  list) echo "a table of sessions" ;;
  sit) echo sitting; until [ -e "$HOME/stop" ]; do sleep 0.02; done; echo "still ${version}" ;;
  *) echo "No command: $*" >&2; exit 2 ;;
esac
`;
}

export class Installer implements AsyncDisposable {
  private constructor(
    readonly sandbox: Sandbox,
    readonly server: ReleaseServer,
    readonly home: string,
    readonly shell: Shell,
  ) {}

  static async create(shell: Shell, home = "home"): Promise<Installer> {
    const sandbox = await createSandbox({ agent: "stub" });
    return new Installer(sandbox, ReleaseServer.start(), await sandbox.folder(home), shell);
  }

  get bin(): string {
    return join(this.home, ".local", "bin");
  }
  get executable(): string {
    return join(this.bin, "dev-sessions");
  }
  get env(): Record<string, string> {
    return { HOME: this.home, DEV_SESSIONS_BASE_URL: this.server.url, SHELL: "/bin/sh" };
  }

  start(args: readonly string[] = [], settings: RunSettings = {}): RunningCommand {
    const [program, ...options] = this.shell;
    const env = { ...this.env, ...settings.env };
    return this.sandbox.spawn(program, [...options, INSTALL_SH, ...args], { ...settings, env });
  }
  async run(args: readonly string[] = [], settings: RunSettings = {}): Promise<RunOutput> {
    return await this.start(args, settings).doneWithin(60_000, `install.sh ${args.join(" ")}`);
  }
  /** `curl ... | sh -s -- args`, with any script. */
  async pipe(script: string, args: readonly string[] = [], settings: RunSettings = {}): Promise<RunOutput> {
    const [program, ...options] = this.shell;
    const env = { ...this.env, ...settings.env };
    return await this.sandbox.spawn(program, [...options, "-s", "--", ...args], {
      ...settings,
      env,
      stdin: script,
    })
      .doneWithin(60_000, "install.sh in a pipe");
  }

  /** Puts a stand-in in place as an installation before. */
  async installed(before: StandIn): Promise<void> {
    await Deno.mkdir(this.bin, { recursive: true });
    await Deno.writeTextFile(this.executable, standIn(before), { mode: 0o755 });
  }
  /** Gives the stand-in data, with live sessions or without. */
  async data(live: string): Promise<string> {
    const data = join(this.home, ".dev-sessions");
    await Deno.mkdir(data, { mode: 0o700, recursive: true });
    await Deno.writeTextFile(join(data, "dev-sessions.db"), "precious");
    await Deno.writeTextFile(join(this.home, "live"), live);
    return data;
  }
  /** What the installed stand-in was called with. */
  async calls(): Promise<string[]> {
    const text = await Deno.readTextFile(join(this.home, "calls")).catch(() => "");
    return text.split("\n").filter((line) => line !== "");
  }
  /** Everything below the home folder: type, mode and content by path. */
  contents(): Record<string, string> {
    return contentsOf(this.home);
  }
  /** A folder for PATH with these programs only, from the sandbox's own PATH. */
  async only(programs: readonly string[]): Promise<string> {
    const folder = await this.sandbox.folder("only");
    for (const program of programs) {
      const found = this.sandbox.env["PATH"]!.split(":").map((at) => join(at, program)).find((path) => {
        try {
          return Deno.statSync(path).isFile;
        } catch {
          return false;
        }
      });
      if (found === undefined) throw new Error(`This test needs ${program}: install it`);
      await Deno.symlink(found, join(folder, program));
    }
    return folder;
  }
  /** A folder for the front of PATH with these programs, each a script. */
  async fakes(scripts: Readonly<Record<string, string>>): Promise<string> {
    const folder = await this.sandbox.folder("fakes");
    for (const [name, script] of Object.entries(scripts)) {
      await Deno.writeTextFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    return `${folder}:${this.sandbox.env["PATH"]}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.sandbox.close();
  }
}

function contentsOf(folder: string, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    const mode = ((Deno.lstatSync(path).mode ?? 0) & 0o7777).toString(8);
    if (isDirectory) {
      found[`${prefix}${name}/`] = mode;
      Object.assign(found, contentsOf(path, `${prefix}${name}/`));
    } else {found[prefix + name] = isSymlink
        ? `-> ${Deno.readLinkSync(path)}`
        : `${mode} ${Deno.readTextFileSync(path)}`;}
  }
  return found;
}
