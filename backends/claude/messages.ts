/** What was said in a session: the newest replies and the whole conversation, from transcript and hooks. */

import type { Clock } from "../../lib/deps.ts";
import type { LogEntry } from "../../lib/session.ts";
import type { Anchor } from "./evidence.ts";
import { lastAssistantTexts, logEntries } from "./conversation.ts";
import type { Observer } from "./observe.ts";
import { saidInTurn } from "./turn.ts";
import { isInsideProjects, transcriptPath } from "./transcript_path.ts";

/** The transcript lags behind the Stop hook (measured: 40 to 140 ms). */
const WRITE_LAG_MS = 600;
const WRITE_LAG_POLL_MS = 20;

/** Newest last, at most `count`; the text of a turn that has just ended may be in the Stop hook alone. */
export async function lastMessages(observer: Observer, count: number, clock: Clock): Promise<string[]> {
  const path = observer.transcript();
  const stop = observer.hooks.newest("Stop", "UserPromptSubmit");
  const fromHook = stop?.event === "Stop" ? stop.body.last_assistant_message?.trim() ?? "" : "";
  const deadline = clock.monotonic() + WRITE_LAG_MS;
  for (;;) {
    const { texts } = lastAssistantTexts(path, count);
    if (fromHook === "" || stop === null) return [...texts];
    if (texts.at(-1)?.trim() === fromHook || endsWith(path, fromHook)) return [...texts];
    if (clock.now() - stop.at > WRITE_LAG_MS || clock.monotonic() >= deadline) {
      // Old news: a later command or an edit of the transcript moved on; the transcript is the record.
      return texts.length > 0 && clock.now() - stop.at > WRITE_LAG_MS * 10
        ? [...texts]
        : [...texts, fromHook].slice(-count);
    }
    await clock.sleep(WRITE_LAG_POLL_MS);
  }
}

/** What was said in the turn of one message; the Stop hook has it before the transcript does. */
export async function turnMessages(
  observer: Observer,
  anchor: Anchor,
  count: number,
  clock: Clock,
): Promise<string[]> {
  const deadline = clock.monotonic() + WRITE_LAG_MS;
  for (;;) {
    const { events, marks } = observer.since(anchor);
    const said = saidInTurn(marks, anchor.text);
    if (said.ended) return said.texts.slice(-count);
    if (clock.monotonic() >= deadline) {
      const stop = events.findLast((event) => event.event === "Stop")?.body.last_assistant_message;
      return said.texts.length === 0 && stop ? [stop] : said.texts.slice(-count);
    }
    await clock.sleep(WRITE_LAG_POLL_MS);
  }
}

/** Claude joins the last message's blocks in its hook. */
function endsWith(path: string, text: string): boolean {
  const squeeze = (part: string) => part.replace(/\s+/g, "");
  const { texts } = lastAssistantTexts(path, 20, { maxBytes: 4 * 1024 * 1024 });
  return squeeze(texts.join("")).endsWith(squeeze(text));
}

/** All conversations of the session in order: `/clear` starts another transcript. */
export async function* conversationLog(observer: Observer): AsyncGenerator<LogEntry> {
  const { configFolder, realPath } = observer.handle;
  const paths = new Set<string>();
  const first = observer.session.agentSessionId;
  if (first !== null) paths.add(transcriptPath(configFolder, realPath, first));
  for (const name of observer.hooks.names()) {
    if (!name.endsWith(".SessionStart.json")) continue;
    const path = observer.hooks.read(name)?.body.transcript_path;
    if (path !== undefined && isInsideProjects(configFolder, path)) paths.add(path);
  }
  paths.add(observer.transcript());
  for (const path of paths) yield* logEntries(path, { tools: true });
}
