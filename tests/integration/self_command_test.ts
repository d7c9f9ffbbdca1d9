/** dev-sessions starts itself again by what it was started with: after an upgrade by the new file, never by another one. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { launcherScript } from "../../build/launcher.ts";

const PROGRAM = new URL("../support/self_command_program.ts", import.meta.url).pathname;

interface Said {
  readonly command?: string;
  readonly args?: readonly string[];
  readonly left?: readonly string[];
  readonly error?: string;
}

/** The program, running; `ask()` has it decide anew. */
class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor(readonly env: Record<string, string>, command: string, args: readonly string[] = []) {
    this.#child = new Deno.Command(command, {
      args: [...args],
      cwd: "/",
      clearEnv: true,
      env,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async ask(): Promise<Said> {
    await this.#writer.write(new TextEncoder().encode("\n"));
    let line = "";
    while (!line.endsWith("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`The program ended: ${line}`);
      line += value;
    }
    return JSON.parse(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#reader.cancel();
    await this.#child.status;
  }
}

/** What the command prints when it is run. */
async function output({ command = "", args = [] }: Said, env: Record<string, string>): Promise<unknown> {
  const { stdout } = await new Deno.Command(command, { args: [...args], cwd: "/", clearEnv: true, env })
    .output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function inFolder(test: (root: string, env: Record<string, string>) => Promise<void>): Promise<void> {
  const root = await Deno.realPath(await Deno.makeTempDir({ prefix: "ds self's " }));
  try {
    await Deno.mkdir(join(root, ".dev-sessions"));
    await test(root, {
      HOME: root,
      PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
      DENO_DIR: Deno.env.get("DENO_DIR") || join(root, "deno"),
      NO_COLOR: "1",
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** A Deno of its own, with the program as its bundle. */
async function installLauncher(root: string): Promise<{ executable: string; deno: string }> {
  const [executable, deno] = [join(root, "dev-sessions"), join(root, "deno-copy")];
  await Deno.copyFile(Deno.execPath(), deno);
  await Deno.writeTextFile(executable, launcherScript({ executable, deno, main: PROGRAM }), { mode: 0o755 });
  return { executable, deno };
}

Deno.test("a checkout starts itself again from any folder", async () => {
  await inFolder(async (_root, env) => {
    await using program = new Program(env, Deno.execPath(), ["run", "-A", "--quiet", PROGRAM]);
    const said = await program.ask();
    deepStrictEqual(said, {
      command: Deno.execPath(),
      args: ["run", "-A", "--quiet", PROGRAM, "again"],
      left: [],
    });
    deepStrictEqual(await output(said, env), {
      args: ["again"],
      kind: "source",
      home: env["HOME"],
      folder: "/",
    });
  });
});

Deno.test("by a launcher: the launcher is started again, also after an upgrade, and leaves no trace", async () => {
  await inFolder(async (root, env) => {
    const { executable, deno } = await installLauncher(root);
    // What Deno would otherwise take up on its way to the program.
    await Deno.writeTextFile(join(root, "package.json"), "{ broken");
    await using program = new Program(env, executable);
    const first = await program.ask();
    deepStrictEqual(first, { command: executable, args: ["again"], left: [] });
    deepStrictEqual(await output(first, env), {
      args: ["again"],
      kind: "launcher",
      home: env["HOME"],
      folder: "/",
    });

    await Deno.copyFile(deno, `${deno}.new`);
    await Deno.rename(`${deno}.new`, deno);
    await Deno.writeTextFile(`${executable}.new`, await Deno.readTextFile(executable), { mode: 0o755 });
    await Deno.rename(`${executable}.new`, executable);
    deepStrictEqual(await program.ask(), first);

    await Deno.remove(executable);
    const gone = `Cannot start dev-sessions again: "${executable}" is gone. Install dev-sessions again`;
    deepStrictEqual(await program.ask(), { error: gone });
    const elsewhere = join(root, "elsewhere");
    await Deno.writeTextFile(elsewhere, "#!/bin/sh\n", { mode: 0o755 });
    await Deno.writeTextFile(join(root, ".dev-sessions", "executable"), `${elsewhere}\n`);
    deepStrictEqual(await program.ask(), { command: elsewhere, args: ["again"], left: [] });
  });
});

Deno.test("what the user has set stays set behind a launcher", async () => {
  await inFolder(async (root, env) => {
    const { executable } = await installLauncher(root);
    await using program = new Program({ ...env, DENO_NO_UPDATE_CHECK: "1" }, executable);
    deepStrictEqual((await program.ask()).left, ["DENO_NO_UPDATE_CHECK"]);
  });
});

/** One run of the launcher by a shell, in a folder. */
async function runLauncher(
  shell: readonly string[],
  folder: string,
  env: Record<string, string>,
): Promise<unknown> {
  const [command = "", ...args] = shell;
  const { stdout, stderr, code } = await new Deno.Command(command, { args, cwd: folder, clearEnv: true, env })
    .output();
  strictEqual(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const BY_LAUNCHER = { args: ["again"], kind: "launcher" };
const LAUNCHER_SHELLS = [["dash"], ["busybox", "sh"], ["bash"]];

Deno.test("whatever stands in the user's .npmrc, a launcher runs", async (t) => {
  const npmrcs: Record<string, (path: string) => Promise<void>> = {
    "a registry whose variable is not set": (path) => Deno.writeTextFile(path, "registry=${NPM_REGISTRY}\n"),
    "a scope whose variable is not set": (path) => Deno.writeTextFile(path, "@corp:registry=${CORP}\n"),
    "a registry that is no address": (path) => Deno.writeTextFile(path, "registry=npm.corp.example\n"),
    "not UTF-8": (path) => Deno.writeFile(path, new Uint8Array([0xff, 0xfe, 0x0a])),
    "a folder": (path) => Deno.mkdir(path),
  };
  for (const [name, make] of Object.entries(npmrcs)) {
    await t.step(name, () =>
      inFolder(async (root, env) => {
        const { executable } = await installLauncher(root);
        const home = join(root, "home");
        await Deno.mkdir(home);
        await make(join(home, ".npmrc"));
        deepStrictEqual(
          await runLauncher([executable, "again"], home, { ...env, HOME: home }),
          { ...BY_LAUNCHER, home, folder: home },
        );
      }));
  }
  await t.step("HOME is a file, or not set", () =>
    inFolder(async (root, env) => {
      const { executable } = await installLauncher(root);
      const home = join(root, "home");
      await Deno.writeTextFile(home, "");
      const { HOME: _, ...without } = env;
      for (const [given, seen] of [[{ ...env, HOME: home }, home], [without, null]] as const) {
        deepStrictEqual(
          await runLauncher([executable, "again"], root, given),
          { ...BY_LAUNCHER, home: seen, folder: root },
        );
      }
    }));
});

Deno.test("a launcher runs in a folder that is gone, and says so only where the folder is needed", async (t) => {
  for (const shell of LAUNCHER_SHELLS) {
    await t.step(shell.join(" "), () =>
      inFolder(async (root, env) => {
        const { executable } = await installLauncher(root);
        const folder = join(root, "folder");
        await Deno.mkdir(folder);
        const gone = "Cannot use the current folder: it is gone. Go to another one with: cd <folder>";
        const removing = ["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", ...shell, executable, "again"];
        // What stands there from an outer call says nothing.
        const outer = { ...env, DEV_SESSIONS_FOLDER_GONE: "1" };
        deepStrictEqual(
          await runLauncher([...shell, executable, "again"], folder, outer),
          { ...BY_LAUNCHER, home: root, folder },
        );
        for (const again of [false, true]) {
          if (again) await Deno.mkdir(folder);
          deepStrictEqual(
            await runLauncher(removing, folder, env),
            { ...BY_LAUNCHER, home: root, folder: gone },
          );
        }
      }));
  }
});

Deno.test("a running file that was replaced is found by its own path, one that was removed is not", async () => {
  await inFolder(async (root, env) => {
    const deno = join(root, "deno-copy");
    await Deno.copyFile(Deno.execPath(), deno);
    await using program = new Program(env, deno, ["run", "-A", "--quiet", PROGRAM]);
    const first = await program.ask();
    strictEqual(first.command, deno);
    await Deno.copyFile(deno, `${deno}.new`);
    await Deno.rename(`${deno}.new`, deno);
    deepStrictEqual(await program.ask(), first);
    deepStrictEqual(await output(first, env), {
      args: ["again"],
      kind: "source",
      home: env["HOME"],
      folder: "/",
    });
    await Deno.remove(deno);
    match((await program.ask()).error ?? "", /deno-copy" is gone\. Install dev-sessions again$/);
  });
});
