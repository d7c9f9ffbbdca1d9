/**
 * The one key that answers a dialog beside which no hook waits: only when the screen shows that very dialog, once, and
 * proven by Claude's own record.
 */

import type { Deps } from "../../lib/deps.ts";
import { AppError } from "../../lib/errors.ts";
import type { AnswerProof, FittingAnswer, PendingInput, Session } from "../../lib/session.ts";
import { folderOf } from "../../lib/posix_path.ts";
import { type RegistryEntry, registryFolder } from "./live_registry.ts";
import type { Observer } from "./observe.ts";
import { mainArgument } from "./pending.ts";
import { TIDY_TIMEOUT_MS, type Tmux, type TmuxResult } from "./tmux.ts";
import { watchRecords } from "./watch.ts";

/** Claude ignores keys in a dialog for about 0.5 s after it has opened (measured). */
const DIALOG_AGE_MS = 1_500;
const PROOF_TIMEOUT_MS = 10_000;
const POLL_MS = 100;
/** Of the command or path by which the dialog on the screen is recognised. */
const ARGUMENT_CHARACTERS = 60;

interface World {
  readonly deps: Deps;
  readonly session: Session;
  readonly observer: Observer;
  readonly tmux: Tmux;
}

/** The key for this answer, and what else it does; null when no single key says it. Pure. */
export function keyFor(
  request: PendingInput,
  answer: FittingAnswer,
): { readonly key: string; readonly note: string | null } | null {
  const denial = {
    key: "Escape",
    note: request.subagent === null ? "Escape has denied it, which also ends the turn" : null,
  };
  switch (answer.kind) {
    case "approve":
      return request.kind === "question" ? null : { key: "1", note: null };
    case "always":
      return null;
    case "deny":
      return answer.message === null ? denial : null;
    case "answers": {
      const [question] = request.questions;
      const [picks] = answer.answers;
      if (request.questions.length !== 1 || question === undefined || question.multiSelect) return null;
      const index = question.options.findIndex(({ label }) => picks?.length === 1 && picks[0] === label);
      return index === -1 || index > 8 ? null : { key: String(index + 1), note: null };
    }
  }
}

/** Whether the screen shows the dialog of this request with its first option chosen. Pure. */
export function showsDialog(screen: string, request: PendingInput): boolean {
  const lines = screen.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const first = request.kind === "question" ? request.questions[0]?.options[0]?.label ?? "" : "Yes";
  const chosen = lines.findLastIndex((line) => line.startsWith(`❯ 1. ${first}`));
  if (chosen === -1 || first === "") return false;
  const above = squeeze(lines.slice(0, chosen).join(""));
  switch (request.kind) {
    case "question":
      return above.includes(squeeze(request.questions[0]?.question ?? "\0").slice(-ARGUMENT_CHARACTERS));
    case "plan":
      return above.includes("plan");
    case "permission":
      return above.includes(squeeze(mainArgument(request.input)).slice(0, ARGUMENT_CHARACTERS)) &&
        squeeze(mainArgument(request.input)) !== "";
    case "dialog":
      return false;
  }
}

/**
 * What tmux's answer says of a key. Only a missing server or pane proves that it was not pressed: tmux's command line
 * may have been killed after it had asked. Pure.
 */
export function pressOf(sent: TmuxResult): "pressed" | "not_pressed" | "unconfirmed" {
  if (sent.kind === "ok") return "pressed";
  return sent.kind === "failed" && (sent.reason === "no_server" || sent.reason === "no_target")
    ? "not_pressed"
    : "unconfirmed";
}

/** Whether the live registry shows that the dialog of `before` was answered; no entry proves nothing. Pure. */
export function isAnswered(before: Look, now: Look | null): boolean {
  return now !== null && (now.status !== "waiting" || now.statusUpdatedAt > before.statusUpdatedAt);
}

type Look = Pick<RegistryEntry, "status" | "statusUpdatedAt">;

/** @throws AppError with nothing pressed, unless its code is `unproven`. */
export async function pressAnswer(
  world: World,
  request: PendingInput,
  answer: FittingAnswer,
  signal: AbortSignal,
): Promise<AnswerProof> {
  const { deps: { clock }, observer, tmux } = world;
  const pane = observer.handle.pane ?? "";
  const pressed = keyFor(request, answer);
  if (pressed === null) throw cannot(world, "failure", "no hook waits for it, and no key says as much");
  const age = clock.now() - Date.parse(request.since ?? "");
  if (age < DIALOG_AGE_MS) await clock.sleep(DIALOG_AGE_MS - age, signal);
  if (signal.aborted) throw cannot(world, "interrupted", "interrupted. Nothing was pressed");

  const screen = await tmux.run(["capture-pane", "-p", "-t", pane], TIDY_TIMEOUT_MS);
  const before = observer.registry();
  if (screen.kind !== "ok") throw cannot(world, "not_delivered", "its screen can't be read");
  if (before?.status !== "waiting") {
    throw cannot(world, "failure", "it does not wait any more. Nothing was pressed");
  }
  if (!showsDialog(screen.stdout, request)) {
    throw cannot(world, "failure", `no hook waits for it, and its screen does not show the dialog`);
  }
  const press = pressOf(await tmux.run(["send-keys", "-t", pane, pressed.key]));
  if (press === "not_pressed") throw cannot(world, "not_delivered", "its tmux pane is gone");
  const over = new AbortController();
  const deadline = clock.monotonic() + PROOF_TIMEOUT_MS;
  const places = () => ({
    events: folderOf(observer.registryFile() ?? `${registryFolder(observer.handle.configFolder)}/none`),
    files: [observer.transcript()],
  });
  const stop = AbortSignal.any([signal, over.signal]);
  for await (const _ of watchRecords(places, POLL_MS, clock, stop)) {
    if (isAnswered(before, observer.registry())) {
      return { by: "keys", evidence: "the live registry", note: pressed.note };
    }
    if (clock.monotonic() >= deadline) break;
  }
  over.abort();
  throw cannot(
    world,
    "unproven",
    `the key ${pressed.key} was ${
      press === "pressed" ? "pressed" : "given to tmux, which does not confirm it"
    }, but no record proves that it was taken`,
  );
}

function cannot(
  { session }: World,
  code: ConstructorParameters<typeof AppError>[0],
  why: string,
): AppError {
  return new AppError(
    code,
    `Cannot answer "${session.id}": ${why}. Answer it there: dev-sessions attach ${session.id}`,
  );
}

function squeeze(text: string): string {
  return text.replace(/[\s│╎]/g, "");
}
