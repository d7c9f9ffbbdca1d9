/**
 * Another host without a network: a program `ssh` that starts what it is asked to in another home of the sandbox. A test
 * says in shell what comes before that, and so how the way there fails.
 */

import { join } from "node:path";
import { cliCommand, type RunOutput, type Sandbox } from "./harness.ts";

export class OtherHost {
  private constructor(readonly sandbox: Sandbox, readonly home: string) {}

  static async of(sandbox: Sandbox): Promise<OtherHost> {
    const home = await sandbox.folder("there");
    const bin = await sandbox.folder("bin");
    const [program, ...args] = cliCommand();
    const command = [program, ...args].map((word) => `'${word}'`).join(" ");
    const cli = join(bin, "dev-sessions");
    await Deno.writeTextFile(cli, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
    await Deno.writeTextFile(join(home, ".profile"), `PATH='${bin}':$PATH\n`);
    const host = new OtherHost(sandbox, home);
    await host.up();
    return host;
  }

  /** A file that a script of `ssh()` may write or read. */
  file(name: string): string {
    return join(this.sandbox.root, name);
  }

  /** Whether such a file is there. */
  async has(name: string): Promise<boolean> {
    return await Deno.stat(this.file(name)).then(() => true, () => false);
  }

  /** It lets everybody in. */
  async up(): Promise<void> {
    await this.ssh("");
  }

  /** As OpenSSH fails with these words; `tries` counts the attempts. */
  async down(said: string): Promise<void> {
    await this.ssh(`echo try >>'${this.file("tries")}'; echo '${said}' >&2; exit 255`);
  }

  /** It takes the connection and says nothing; `tries` is there once somebody has tried. */
  async hangs(): Promise<void> {
    await this.ssh(`echo try >>'${this.file("tries")}'; exec sleep 120`);
  }

  async tries(): Promise<number> {
    const text = await Deno.readTextFile(this.file("tries")).catch(() => "");
    return text.split("\n").filter((line) => line !== "").length;
  }

  /**
   * @param script what `ssh` does before it runs the command, which is in `$last`; `enter` is what it does then, but for
   *   its end.
   */
  async ssh(script: string): Promise<void> {
    const path = join(this.sandbox.root, "bin", "ssh");
    const next = `${path}.next`;
    await Deno.writeTextFile(
      next,
      [
        "#!/bin/bash",
        "for last; do :; done",
        `enter() { export HOME='${this.home}' SHELL=/bin/sh; cd; }`,
        script,
        "enter",
        'exec sh -c "$last"',
        "",
      ].join("\n"),
      { mode: 0o755 },
    );
    await Deno.rename(next, path);
  }

  /** A session there. */
  async create(...args: string[]): Promise<string> {
    const made = await this.sandbox.run(["create", "-q", "--host", "box", ...args]);
    if (made.code !== 0) throw new Error(made.stderr);
    return made.stdout.trim();
  }

  /** A command over there. */
  async run(...args: string[]): Promise<RunOutput> {
    return await this.sandbox.run(args, { env: { HOME: this.home } });
  }
}
