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

  /**
   * The connection after this breaks once `cut` is there; further attempts, which `tries` counts, come to what `script`
   * says for as long as `out` is there.
   */
  async breaks(script: string): Promise<void> {
    for (const name of ["cut", "tries", "first"]) await Deno.remove(this.file(name)).catch(() => {});
    await Deno.writeTextFile(this.file("out"), "");
    await this.ssh(`
if mkdir '${this.file("first")}' 2>/dev/null; then
  enter
  exec 3<&0
  sh -c "$last" <&3 & child=$!
  exec <&- 3<&-
  until [ -e '${this.file("cut")}' ]; do kill -0 $child 2>/dev/null || exit 255; sleep 0.05; done
  kill $child
  echo "client_loop: send disconnect: Broken pipe" >&2
  exit 255
fi
if [ -e '${this.file("out")}' ]; then
  echo try >>'${this.file("tries")}'
  ${script}
fi`);
  }

  /** The first answer to an operation is lost after it has been carried out, then `next` comes before everything else. */
  async loses(operation: string, next = ""): Promise<void> {
    await Deno.remove(this.file("lost")).catch(() => {});
    const lost = `'${this.file("lost")}'`;
    const filter = this.#filter(operation, "lose");
    await this.ssh(`if [ ! -e ${lost} ]; then touch ${lost}; enter; exec ${filter}; fi\n${next}`);
  }

  /** Every result of an operation has one more failure. */
  async fails(operation: string, failure: { readonly id: string; readonly reason: string }): Promise<void> {
    await this.ssh(`enter; exec ${this.#filter(operation, "add")} '${JSON.stringify(failure)}'`);
  }

  /** The first answer to an operation, of each connection, is this failure; it has been carried out. */
  async refuses(operation: string, message: string): Promise<void> {
    await this.ssh(this.refusal(operation, message));
  }

  /** For `ssh()`, or as what comes next. */
  refusal(operation: string, message: string): string {
    const error = JSON.stringify({ code: "failure", message, detail: null });
    return `enter; exec ${this.#filter(operation, "refuse")} '${error}'`;
  }

  #filter(operation: string, what: string): string {
    const program = join(import.meta.dirname ?? "", "frame_filter.ts");
    return `'${Deno.execPath()}' run -A --quiet --no-check '${program}' "$last" ${operation} ${what}`;
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
