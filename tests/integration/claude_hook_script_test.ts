/** The hook of a permission request, run by real shells: it waits, gives its answer once, and never stays behind. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { hookScript } from "../../backends/claude/hook_script.ts";
import { eventually } from "../support/harness.ts";
import { isRunning, signal } from "../support/processes.ts";

const ANSWER = '{"hookSpecificOutput":{"decision":{"behavior":"deny","message":"it\'s \\"no\\" 漢"}}}\n';
const REQUEST = { hook_event_name: "PermissionRequest", tool_name: "Bash", tool_input: { command: "ls" } };

/** Shells that are `/bin/sh` somewhere and are installed here; busybox also where BUSYBOX says. */
const SHELLS = ["/bin/dash", "/bin/bash", Deno.env.get("BUSYBOX") ?? "/bin/busybox"].filter((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** A session's folder, an agent's process and its live registry, and one hook that runs. */
class World implements AsyncDisposable {
  readonly root = Deno.makeTempDirSync({ prefix: "it's a session " });
  readonly agent = new Deno.Command("sleep", { args: ["60"] }).spawn();
  readonly #hooks: Deno.ChildProcess[] = [];

  constructor(
    shell: string,
    folders: readonly string[] = ["events", "requests", "answers"],
    place: "host" | "container" = "host",
  ) {
    for (const name of ["bin", "home/.claude/sessions", ...folders]) {
      Deno.mkdirSync(join(this.root, name), { recursive: true });
    }
    Deno.symlinkSync(shell, join(this.root, "bin/sh"));
    Deno.writeTextFileSync(join(this.root, "hook.sh"), hookScript(join(this.root, "events"), place));
  }

  names(folder: string): string[] {
    return [...Deno.readDirSync(join(this.root, folder))].map(({ name }) => name).sort();
  }
  program(name: string, text: string): void {
    Deno.writeTextFileSync(join(this.root, "bin", name), text, { mode: 0o700 });
  }
  get #registry(): string {
    return join(this.root, `home/.claude/sessions/${this.agent.pid}.json`);
  }
  /** A registry that can be written only while the hook reads it. */
  async registryToRead(): Promise<string> {
    await new Deno.Command("mkfifo", { args: [this.#registry] }).output();
    return this.#registry;
  }
  registry(status: string): void {
    Deno.writeTextFileSync(this.#registry, JSON.stringify({ pid: this.agent.pid, status }));
  }

  start(body: unknown = REQUEST, event = "PermissionRequest"): Deno.ChildProcess {
    const hook = new Deno.Command(join(this.root, "bin/sh"), {
      args: [join(this.root, "hook.sh"), event],
      clearEnv: true,
      env: {
        PATH: `${join(this.root, "bin")}:${Deno.env.get("PATH")}`,
        HOME: join(this.root, "home"),
        CLAUDE_PID: String(this.agent.pid),
        TMUX_PANE: "%0",
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#hooks.push(hook);
    const writer = hook.stdin.getWriter();
    void writer.write(new TextEncoder().encode(JSON.stringify(body))).then(() => writer.close());
    return hook;
  }
  /** Starts it and returns the request's id once the event is visible. */
  async asks(body: unknown = REQUEST): Promise<{ hook: Deno.ChildProcess; id: string }> {
    const hook = this.start(body);
    const event = await eventually(() => this.names("events").find((name) => name.endsWith(`.json`)), {
      what: "the event",
    });
    const id = event.replace(/\.json$/, "");
    deepStrictEqual(this.names("requests"), [id], "who sees the event finds its FIFO");
    strictEqual(Deno.statSync(join(this.root, "requests", id)).mode! & 0o777, 0o600);
    ok(id.includes(`-${hook.pid}.`), "the id names the process that waits");
    return { hook, id };
  }
  async answer(id: string, text: string): Promise<void> {
    const path = join(this.root, "answers", `${id}.json`);
    Deno.writeTextFileSync(`${path}.part`, text);
    Deno.renameSync(`${path}.part`, path);
    using fifo = await Deno.open(join(this.root, "requests", id), { read: true, write: true });
    await fifo.write(new TextEncoder().encode("answer\n"));
  }
  /** What the hook said, when it has ended and left nothing. */
  async end(hook: Deno.ChildProcess): Promise<string> {
    const { code, stdout, stderr } = await hook.output();
    strictEqual(new TextDecoder().decode(stderr), "");
    strictEqual(code, 0);
    deepStrictEqual(this.names("requests"), []);
    deepStrictEqual(this.names("answers"), []);
    return new TextDecoder().decode(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const hook of this.#hooks) signal(hook.pid, "SIGKILL");
    signal(this.agent.pid, "SIGKILL");
    await Promise.all([this.agent.status, ...this.#hooks.map((hook) => hook.status)]);
    // What watches beside a killed hook still has a second to go.
    await eventually(() => Deno.removeSync(this.root, { recursive: true }) ?? true, {
      what: "a folder removed",
    });
  }
}

for (const shell of SHELLS) {
  const test = (name: string, body: (world: World) => Promise<void>) =>
    Deno.test(`the waiting hook under ${shell} ${name}`, async () => {
      await using world = new World(shell);
      await body(world);
    });

  test("gives the answer that it is woken for, and nothing else", async (world) => {
    world.registry("busy");
    const { hook, id } = await world.asks();
    await world.answer(id, ANSWER);
    strictEqual(await world.end(hook), ANSWER);
  });

  Deno.test(`the waiting hook in a container under ${shell} leaves a mark of the answer that it gave`, async () => {
    await using world = new World(shell, undefined, "container");
    const { hook, id } = await world.asks();
    await world.answer(id, ANSWER);
    const { stdout } = await hook.output();
    strictEqual(new TextDecoder().decode(stdout), ANSWER);
    deepStrictEqual(world.names("requests"), [`${id}.given`]);
    deepStrictEqual(world.names("answers"), [`${id}.json`], "it can only be read there");
  });

  Deno.test(`the waiting hook in a container under ${shell} leaves none when it found no answer`, async () => {
    await using world = new World(shell, undefined, "container");
    const { hook } = await world.asks();
    signal(world.agent.pid, "SIGKILL");
    await world.agent.status;
    strictEqual(await world.end(hook), "");
  });

  test("gives a large answer whole", async (world) => {
    const { hook, id } = await world.asks();
    const large = `{"message":"${"x".repeat(300_000)}"}\n`;
    await world.answer(id, large);
    strictEqual(await world.end(hook), large);
  });

  test("ends in silence once the agent, which waited, does not wait any more", async (world) => {
    const path = await world.registryToRead();
    const { hook } = await world.asks();
    await Deno.writeTextFile(path, '{"status":"waiting"}\n');
    Deno.removeSync(path);
    world.registry("busy");
    strictEqual(await world.end(hook), "");
  });

  test("ends with its agent", async (world) => {
    world.registry("waiting");
    const { hook } = await world.asks();
    signal(world.agent.pid, "SIGKILL");
    await world.agent.status;
    strictEqual(await world.end(hook), "");
  });

  test("ends when it is told to, and takes its FIFO along", async (world) => {
    const { hook } = await world.asks();
    hook.kill("SIGTERM");
    strictEqual(await world.end(hook), "");
  });

  test("ends with a later turn's end where there is no live registry", async (world) => {
    const { hook } = await world.asks();
    await world.start({ hook_event_name: "Stop" }, "Stop").output();
    strictEqual(await world.end(hook), "");
  });

  test("of a sub-agent waits while nobody is attached, whatever the registry says", async (world) => {
    const attached = join(world.root, "attached");
    const looked = join(world.root, "looked");
    world.program(
      "tmux",
      `#!/bin/sh\necho >'${looked.replaceAll("'", "'\\''")}'\ncat '${attached.replaceAll("'", "'\\''")}'\n`,
    );
    Deno.writeTextFileSync(attached, "0\n");
    world.registry("idle");
    const { hook } = await world.asks({ ...REQUEST, agent_id: "a1" });
    for (let look = 0; look < 3; look++) {
      await eventually(() => Deno.statSync(looked).isFile, { what: "a look at tmux" });
      Deno.removeSync(looked);
    }
    ok(await isRunning(hook.pid));
    Deno.writeTextFileSync(attached, "1\n");
    strictEqual(await world.end(hook), "");
  });

  test("that was killed leaves no process and no FIFO", async (world) => {
    const { hook } = await world.asks();
    hook.kill("SIGKILL");
    await hook.status;
    await eventually(() => world.names("requests").length === 0, { what: "the FIFO gone" });
    await Promise.all([hook.stdout.cancel(), hook.stderr.cancel()]);
  });

  Deno.test(`the hook under ${shell} only records where it can make no FIFO, and for every other event`, async () => {
    await using world = new World(shell, ["events"]);
    for (const event of ["PermissionRequest", "Stop"]) {
      const { code, stdout } = await world.start(REQUEST, event).output();
      deepStrictEqual([code, stdout.length], [0, 0]);
    }
    deepStrictEqual(world.names("events").map((name) => name.split(".")[1]), ["PermissionRequest", "Stop"]);
  });
}
