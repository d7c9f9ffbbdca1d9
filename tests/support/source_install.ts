/** install.sh --from-source in a sandbox: a copy of this checkout, and what is installed from it. */

import { ok } from "node:assert/strict";
import { join } from "node:path";
import type { RunningCommand, RunOutput, RunSettings, Sandbox } from "./harness.ts";
import type { Shell } from "./installer.ts";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
const NOT_SOURCE = new Set([
  ".git",
  ".cache",
  "dist",
  "release",
  "node_modules",
  "coverage",
  "tests",
  "docs",
]);
const BUILD_TIMEOUT_MS = 120_000;

export class SourceInstall {
  readonly checkout: string;
  readonly target: string;
  readonly lib: string;
  readonly #env: Record<string, string>;

  constructor(readonly sandbox: Sandbox) {
    this.checkout = join(sandbox.root, "a check'out");
    const prefix = join(sandbox.home, ".local");
    this.target = join(prefix, "bin", "dev-sessions");
    this.lib = join(prefix, "lib", "dev-sessions");
    const home = Deno.env.get("HOME") ?? "/";
    this.#env = {
      // What was downloaded once serves all tests; the home is empty otherwise.
      npm_config_cache: Deno.env.get("npm_config_cache") ?? join(home, ".npm"),
      // Deno itself is known to be no runtime of executables, so that nothing is downloaded either.
      DENORT_BIN: Deno.execPath(),
      PATH: withoutDeno(sandbox.env["PATH"] ?? ""),
    };
  }

  async copyCheckout(): Promise<void> {
    await Deno.mkdir(this.checkout);
    for await (const { name } of Deno.readDir(CHECKOUT)) {
      if (NOT_SOURCE.has(name)) continue;
      const copied = await new Deno.Command("cp", { args: ["-R", "--", join(CHECKOUT, name), this.checkout] })
        .output();
      ok(copied.success, name);
    }
  }

  /** Another version of the same program. */
  async setVersion(version: string): Promise<void> {
    const path = join(this.checkout, "deno.json");
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text.replace(/^ {2}"version": ".*",$/m, `  "version": "${version}",`));
  }

  async install(
    shell: Shell,
    args: readonly string[] = ["--from-source"],
    env: RunSettings["env"] = {},
  ): Promise<RunOutput> {
    const running = this.startInstall(shell, args, env);
    return await running.doneWithin(BUILD_TIMEOUT_MS, "install.sh --from-source");
  }
  startInstall(shell: Shell, args: readonly string[], env: RunSettings["env"] = {}): RunningCommand {
    const [program, ...options] = shell;
    return this.sandbox.spawn(program, [...options, join(this.checkout, "install.sh"), ...args], {
      env: { ...this.#env, ...env },
    });
  }

  /** The installed dev-sessions. */
  start(...args: string[]) {
    return this.sandbox.spawn(this.target, args);
  }
  async run(...args: string[]): Promise<RunOutput> {
    return await this.start(...args).doneWithin(60_000, args.join(" "));
  }
  /** Versions in the library folder, sorted. */
  libraries(): string[] {
    return [...Deno.readDirSync(this.lib)].map(({ name }) => name.replace(/-[0-9a-f]{12}$/, "")).sort();
  }
}

/** So that npx has to be asked for it. */
function withoutDeno(path: string): string {
  return path.split(":").filter((folder) => {
    try {
      return !Deno.statSync(join(folder, "deno")).isFile;
    } catch {
      return true;
    }
  }).join(":");
}
