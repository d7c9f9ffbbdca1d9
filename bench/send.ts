/**
 * What `send` adds to the time that Claude Code itself takes to accept a message: messages that tmux alone types, seen
 * in the transcript, take turns with messages that are sent.
 */

import { dirname } from "node:path";
import { transcriptPath } from "../backends/claude/transcript_path.ts";
import { createSandbox, type Sandbox } from "../tests/support/harness.ts";
import { cli, type Figure, figure, output, pause, quantile, time } from "./measure.ts";

const RUNS = 15;
const GOAL_MS = 60;
const RECORD_TIMEOUT_MS = 15_000;
const REST_MS = 300;
/** As long as `send` leaves between a message's text and the Enter: none. */
const BUFFER = "bench";

export async function benchSend(): Promise<Figure[]> {
  await using sandbox = await createSandbox({ agent: "claude" });
  const dev = (...args: string[]) => cli(args, sandbox.env, sandbox.workspace);
  const id = (await output(dev("create", "-q"))).trim();
  // The transcript begins with the first prompt.
  await time(dev("send", id, "SCRIPT:plain warm up"));
  await time(dev("wait", id));
  const record = JSON.parse(await output(dev("inspect", id))) as { internalId: string };
  const folder = await Deno.realPath(sandbox.workspace);
  const transcript = transcriptPath(sandbox.claudeConfig, folder, record.internalId);

  const typed: number[] = [];
  const sent: number[] = [];
  const late: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    await pause(REST_MS);
    using direct = new TranscriptWatch(transcript);
    const begin = performance.now();
    await type(sandbox, `dev-${id}`, `SCRIPT:plain typed message ${run} `);
    typed.push(await direct.seen("user", `typed message ${run}`) - begin);
    await direct.seen("system", "turn_duration");

    await pause(REST_MS);
    using watch = new TranscriptWatch(transcript);
    const sending = performance.now();
    await time(dev("send", id, `SCRIPT:plain sent message ${run}`));
    const end = performance.now();
    sent.push(end - sending);
    late.push(end - await watch.seen("user", `sent message ${run}`));
    await watch.seen("system", "turn_duration");
  }
  const own = quantile(typed, 0.5);
  return [
    figure("Claude itself: typed by tmux -> user line in its transcript", typed),
    figure("send: start -> exit (real Claude Code)", sent),
    figure("send: user line in the transcript -> exit", late),
    figure("send beyond Claude's own acceptance", sent.map((ms) => ms - own), GOAL_MS),
  ];
}

/** The same keys as those of `send`, from one call of tmux. */
async function type(sandbox: Sandbox, target: string, text: string): Promise<void> {
  const { code, stderr } = await sandbox.tmux(
    ...["set-buffer", "-b", BUFFER, "--", text, ";"],
    ...["paste-buffer", "-p", "-r", "-d", "-b", BUFFER, "-t", target, ";"],
    ...["send-keys", "-t", target, "Enter"],
  );
  if (code !== 0) throw new Error(`tmux: ${stderr}`);
}

/** Remembers when each line came into a transcript, from now on. */
class TranscriptWatch implements Disposable {
  readonly #lines: { readonly at: number; readonly text: string }[] = [];
  readonly #watcher: Deno.FsWatcher;
  readonly #path: string;
  #offset: number;
  #rest = "";

  constructor(path: string) {
    this.#path = path;
    this.#offset = Deno.statSync(path).size;
    this.#watcher = Deno.watchFs(dirname(path), { recursive: false });
    void this.#pump();
  }

  /** When the line was seen. */
  async seen(type: string, content: string): Promise<number> {
    const deadline = performance.now() + RECORD_TIMEOUT_MS;
    for (;;) {
      const found = this.#lines.find(({ text }) =>
        text.includes(`"type":"${type}"`) && text.includes(content)
      );
      if (found) return found.at;
      if (performance.now() > deadline) throw new Error(`No line with ${content} in ${this.#path}`);
      await pause(5);
    }
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }

  async #pump(): Promise<void> {
    for await (const event of this.#watcher) {
      if (event.kind === "access") continue;
      const at = performance.now();
      using file = Deno.openSync(this.#path);
      file.seekSync(this.#offset, Deno.SeekMode.Start);
      const bytes = new Uint8Array(file.statSync().size - this.#offset);
      const count = bytes.length === 0 ? 0 : file.readSync(bytes) ?? 0;
      this.#offset += count;
      const lines = (this.#rest + new TextDecoder().decode(bytes.subarray(0, count))).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const text of lines) this.#lines.push({ at, text });
    }
  }
}
