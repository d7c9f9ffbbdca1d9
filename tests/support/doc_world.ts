/** Where the commands of README and docs are run: a home with agents, repositories, a checkout, and stand-ins of what is elsewhere. */

import { join } from "node:path";
import { type CodexSandbox, createCodexSandbox, createStubCodexSandbox } from "./codex_sandbox.ts";
import { CHECKOUT, consoleSteps, type DocBlock, fits, normalised } from "./doc_blocks.ts";
import { cliCommand, eventually, type Sandbox } from "./harness.ts";
import { standIn } from "./installer.ts";
import { ReleaseServer } from "./release_server.ts";
import { makeRepository } from "./repository.ts";
import type { RunOutput } from "./running_command.ts";
import { stampInstaller } from "../../build/release.ts";
import { VERSION } from "../../lib/version.ts";

const BLOCK_MS = 120_000;
/** Where docs say that releases are. */
/** The gateway's usual port; here it has another one, since all pages are run at once. */
const USUAL_GATEWAY = "127.0.0.1:6767";
const RELEASES = "https://github.com/OWNER/REPOSITORY/releases";
/** What the checkout of a reader has, and no more: neither builds nor caches. */
const IN_CHECKOUT = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];

export class DocWorld implements AsyncDisposable {
  #checkout = false;

  private constructor(
    readonly codex: CodexSandbox,
    readonly releases: ReleaseServer,
  ) {}

  /** With the repositories `~/src/api` and `~/src/web`. */
  static async create(agents: DocBlock["agents"]): Promise<DocWorld> {
    const codex = agents === "real" ? await createCodexSandbox("claude") : await createStubCodexSandbox();
    const world = new DocWorld(codex, ReleaseServer.start());
    try {
      await world.#furnish();
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  get sandbox(): Sandbox {
    return this.codex.sandbox;
  }

  /** Runs a block as it stands. @throws Error with page, line and what it printed when that is not what the page says. */
  async run(block: DocBlock): Promise<void> {
    const at = `${block.page}:${block.line}`;
    if (/~\/dev-sessions\b/.test([block.folder, block.before, block.text].join("\n"))) {
      await this.#addCheckout();
    }
    await Deno.writeTextFile(join(this.sandbox.root, "ids"), block.ids.map((id) => `${id}\n`).join(""));
    switch (block.kind) {
      case "sh":
        return await this.#runScript(block, at);
      case "console":
        return await this.#runConsole(block, at);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.releases[Symbol.asyncDispose]();
    await this.codex[Symbol.asyncDispose]();
  }

  async #runScript(block: DocBlock, at: string): Promise<void> {
    const strict = block.shell === "fish" ? [] : ["-eu"];
    const words = ["exec", block.shell, ...strict, "-c", block.text];
    const { code, stdout, stderr } = await this.#shell(
      block,
      block.shell === "bash" ? `set -eu\n${block.text}` : words.map(quoted).join(" "),
    );
    if (code === block.code) return;
    throw new Error(
      `${at}: exit code ${code} instead of ${block.code}\n${block.text}\nstdout: ${stdout}\nstderr: ${stderr}`,
    );
  }

  async #runConsole(block: DocBlock, at: string): Promise<void> {
    const steps = consoleSteps(block.text);
    const folder = await this.sandbox.folder("output");
    const script = steps.map(({ command }, index) => `{ ${command}\n} >'${folder}/${index}' 2>&1`).join("\n");
    const { stderr } = await this.#shell(block, script);
    for (const [index, { command, output }] of steps.entries()) {
      const printed = await Deno.readTextFile(join(folder, String(index))).catch(() => `not run: ${stderr}`);
      const text = printed.replaceAll(this.sandbox.env["DEV_SESSIONS_GATEWAY_PORT"]!, "6767");
      await Deno.remove(join(folder, String(index))).catch(() => {});
      const [shown, actual] = [[output, null] as const, [text, this.sandbox.root] as const].map(
        ([text, root]) => {
          const same = block.anyNumbers ? text.replaceAll(/\d+/g, "N") : text;
          const lines = normalised(same, root);
          return block.anyOrder ? lines.split("\n").sort().join("\n") : lines;
        },
      ) as [string, string];
      if (fits(shown, actual)) continue;
      throw new Error(
        `${at}: $ ${command}\n--- the page shows\n${shown}\n--- it prints\n${actual}\n--- as it is\n${text}`,
      );
    }
  }

  async #shell(block: DocBlock, script: string): Promise<RunOutput> {
    const { sandbox } = this;
    const noise = join(sandbox.root, "before");
    const ready = join(sandbox.root, "ready");
    await Deno.remove(ready).catch(() => {});
    const folder = block.folder.replace(/^~/, sandbox.home);
    await Deno.mkdir(folder, { recursive: true });
    const before =
      `set -eu\n${FUNCTIONS}\n{ :\n${block.before}\n} >'${noise}' 2>&1\nset +eu\n: >'${ready}'\n`;
    // A process group of its own, so that Ctrl-C reaches all of it and nothing else.
    const running = sandbox.spawn("setsid", ["bash", "-c", before + script], { cwd: folder });
    if (block.stop !== null) {
      const { stop } = block;
      await eventually(() => (running.stdout + running.stderr + written(sandbox.root)).includes(stop), {
        timeoutMs: BLOCK_MS,
        what: `${block.page}:${block.line} prints ${stop}`,
      });
      await sandbox.spawn("kill", ["-INT", "--", `-${running.pid}`]).done();
    }
    const output = await running.doneWithin(BLOCK_MS, `${block.page}:${block.line}\n${block.text}`);
    if (await Deno.stat(ready).then(() => true, () => false)) return output;
    const said = await Deno.readTextFile(noise);
    throw new Error(`${block.page}:${block.line}: what comes before it failed: ${said}${output.stderr}`);
  }

  async #furnish(): Promise<void> {
    const { sandbox } = this;
    const bin = (name: string, script: string) =>
      Deno.writeTextFile(join(sandbox.root, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const gateway = `127.0.0.1:${freePort()}`;
    sandbox.env["DEV_SESSIONS_GATEWAY_PORT"] = gateway.split(":")[1]!;
    const command = cliCommand().map((word) => `'${word}'`).join(" ");
    // Sessions get the names that the page gives them.
    await bin(
      "dev-sessions",
      `ids='${sandbox.root}/ids'
if [ "\${1-}" = create ] && [ -s "$ids" ]; then
  id=$(head -n 1 "$ids"); tail -n +2 "$ids" >"$ids.rest"; mv "$ids.rest" "$ids"
  shift; set -- create --id "$id" "$@"
fi
# The id of a token is made by the gateway: the page's stands for the one that was made last.
case "$*" in
  "gateway token create "*)
    made=$(${command} "$@") || exit
    printf '%s\\n' "$made"
    printf '%s\\n' "$made" | cut -d _ -f 2 >'${sandbox.root}/token'
    exit ;;
  "gateway token revoke "*) set -- gateway token revoke "$(cat '${sandbox.root}/token')" ;;
esac
[ "\${DEV_SESSIONS_GATEWAY_URL-}" != http://${USUAL_GATEWAY} ] || export DEV_SESSIONS_GATEWAY_URL=http://${gateway}
exec ${command} "$@"`,
    );
    await Deno.symlink(Deno.execPath(), join(sandbox.root, "bin", "deno"));
    // What is fetched from the network comes from here.
    await bin(
      "npx",
      `[ "$1 $2" = "--yes deno@2.9.6" ] && shift 2 && exec deno "$@"\necho "npx $*" >&2; exit 1`,
    );
    await bin(
      "curl",
      `for word do shift; case $word in ${RELEASES}*) word="${this.releases.url}\${word#${RELEASES}}" ;;
    http://${USUAL_GATEWAY}/*) word="http://${gateway}/\${word#http://*/}" ;; esac
  [ "$word" = =https ] && word==http,https
  set -- "$@" "$word"; done
exec /usr/bin/curl "$@"`,
    );
    await this.releases.publish(VERSION, standIn({ version: VERSION, skills: true, gateway: true }));
    const installer = await Deno.readTextFile(join(CHECKOUT, "install.sh"));
    this.releases.put("latest/download/install.sh", stampInstaller(installer, RELEASES));
    // The agents that this test has installed serve the copy of the checkout, too.
    sandbox.env["DEV_SESSIONS_AGENT_CACHE"] = Deno.env.get("DEV_SESSIONS_AGENT_CACHE") ||
      join(CHECKOUT, ".cache", "agents");
    // Deno itself is known to be no runtime of executables, so that none is downloaded.
    sandbox.env["DENORT_BIN"] = Deno.execPath();
    for (const name of ["api", "web"]) await makeRepository(sandbox, join(sandbox.home, "src", name));
  }

  async #addCheckout(): Promise<void> {
    if (this.#checkout) return;
    this.#checkout = true;
    const to = join(this.sandbox.home, "dev-sessions");
    await Deno.mkdir(to);
    const copy = `cd "$1" && git ${IN_CHECKOUT.join(" ")} | xargs -0 cp --parents -t "$2"`;
    const running = this.sandbox.spawn("bash", ["-c", copy, "bash", CHECKOUT, to], {
      env: { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "safe.directory", GIT_CONFIG_VALUE_0: "*" },
    });
    const { code, stderr } = await running.doneWithin(BLOCK_MS, "a copy of the checkout");
    if (code !== 0) throw new Error(`Cannot copy the checkout: ${stderr}`);
  }
}

/** What a console block has printed so far. */
function written(root: string): string {
  const folder = join(root, "output");
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => Deno.readTextFileSync(join(folder, name))).join(
      "\n",
    );
  } catch {
    return "";
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** For what comes before a block. */
const FUNCTIONS = `
# eventually <command...>: until it succeeds, within half a minute
eventually() {
  tries=0
  until "$@"; do
    tries=$((tries + 1)); [ "$tries" -lt 300 ] || { echo "never: $*"; return 1; }
    sleep 0.1
  done
}
# says <id> <state>
says() { [ "$(dev-sessions status "$1" 2>/dev/null | head -n 1)" = "$2" ]; }
# session <id> <arguments of create...>
session() { name=$1; shift; dev-sessions create -q --id "$name" "$@"; }
# gateway: runs until the end of the test
gateway() {
  dev-sessions gateway >/dev/null 2>&1 &
  eventually curl -fs http://127.0.0.1:6767/health
}
# working <id>: it works until the end of the test
working() { dev-sessions send "$1" "SCRIPT:gate /nowhere/gate"; eventually says "$1" working; }
`;
