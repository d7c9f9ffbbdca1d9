/** The reply of a turn that has just ended is told even while the transcript does not have it yet. */

import { deepStrictEqual } from "node:assert/strict";
import { lastMessages } from "../../backends/claude/messages.ts";
import { Observer } from "../../backends/claude/observe.ts";
import type { Clock } from "../../lib/deps.ts";
import { pathsFrom } from "../../lib/paths.ts";
import { realDeps } from "../../lib/real_deps.ts";
import type { Session } from "../../lib/session.ts";

const TOKEN = "11111111-2222-4333-8444-555555555555";
const SESSION_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const NOW = Date.parse("2026-01-02T03:04:05.000Z");

/** A session whose records a test writes; its clock stands still but for sleeps. */
class Records implements Disposable {
  readonly home = Deno.makeTempDirSync({ prefix: "ds-last-" });
  readonly #paths = pathsFrom({ HOME: this.home });
  readonly #transcript = `${this.home}/.claude/projects/-w/${SESSION_ID}.jsonl`;
  now = NOW;
  onSleep: () => void = () => {};

  constructor() {
    Deno.mkdirSync(`${this.home}/.claude/projects/-w`, { recursive: true });
    Deno.mkdirSync(`${this.#paths.sessionFolder(TOKEN)}/events`, { recursive: true });
    Deno.writeTextFileSync(this.#transcript, "");
  }

  event(ms: number, name: string, body: Record<string, unknown> = {}): void {
    const file = `${this.#paths.sessionFolder(TOKEN)}/events/${NOW + ms}000000-1.${name}.json`;
    Deno.writeTextFileSync(file, JSON.stringify({ hook_event_name: name, session_id: SESSION_ID, ...body }));
  }

  reply(ms: number, text: string): void {
    const line = {
      type: "assistant",
      timestamp: new Date(NOW + ms).toISOString(),
      message: { id: `msg-${ms}`, role: "assistant", content: [{ type: "text", text }] },
    };
    Deno.writeTextFileSync(this.#transcript, `${JSON.stringify(line)}\n`, { append: true });
  }

  last(count: number): Promise<string[]> {
    const clock: Clock = {
      now: () => this.now,
      monotonic: () => this.now,
      sleep: (ms) => {
        this.now += ms;
        this.onSleep();
        return Promise.resolve();
      },
    };
    const handle = {
      socket: "/s",
      tmuxSession: "dev-fizz-top",
      pane: "%1",
      configFolder: `${this.home}/.claude`,
      realPath: "/w",
    };
    const session = { id: "fizz-top", token: TOKEN, handle, process: null, agentSessionId: SESSION_ID };
    const observer = new Observer({ ...realDeps(), clock }, this.#paths, session as unknown as Session);
    return lastMessages(observer, count, clock);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.home, { recursive: true });
  }
}

/** Two turns: the first is in the transcript, of the second only its Stop is there. */
function secondTurn(records: Records, first: string, second: string): void {
  records.event(0, "UserPromptSubmit", { prompt: "one" });
  records.reply(80, first);
  records.event(100, "Stop", { last_assistant_message: first });
  records.event(1000, "UserPromptSubmit", { prompt: "two" });
  records.event(1100, "Stop", { last_assistant_message: second });
  records.now = NOW + 1110;
}

Deno.test("lastMessages() waits for the transcript to have what the Stop hook told", async () => {
  using records = new Records();
  secondTurn(records, "First.", "Second.");
  records.onSleep = () => records.reply(1080, "Second.");
  deepStrictEqual(await records.last(1), ["Second."]);
});

Deno.test("lastMessages() takes the hook's word when the transcript does not come", async () => {
  using records = new Records();
  secondTurn(records, "First.", "Second.");
  deepStrictEqual(await records.last(2), ["First.", "Second."]);
});

Deno.test("lastMessages() does not take an earlier turn's words for the same words of the last one", async () => {
  for (const first of ["Done.", "All tests pass. Done."]) {
    using records = new Records();
    secondTurn(records, first, "Done.");
    deepStrictEqual(await records.last(1), ["Done."]);
    using late = new Records();
    secondTurn(late, first, "Done.");
    late.onSleep = () => late.reply(1080, "Done.");
    deepStrictEqual(await late.last(2), [first, "Done."]);
  }
});

Deno.test("lastMessages() finds a reply of several blocks that the hook has joined", async () => {
  using records = new Records();
  secondTurn(records, "First.", "Part one.\n\nPart two.");
  records.reply(1080, "Part one.");
  records.reply(1081, "Part two.");
  deepStrictEqual(await records.last(1), ["Part two."]);
});

Deno.test("lastMessages() reads the transcript while a turn runs", async () => {
  using records = new Records();
  secondTurn(records, "First.", "Second.");
  records.reply(1080, "Second.");
  records.event(2000, "UserPromptSubmit", { prompt: "three" });
  records.reply(2050, "I will look.");
  deepStrictEqual(await records.last(1), ["I will look."]);
});
