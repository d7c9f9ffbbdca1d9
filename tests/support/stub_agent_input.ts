/** Turns the terminal's bytes into keys, typed text and pastes, as Claude Code's input does; pure. */

export type InputEvent =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "paste"; readonly text: string; readonly removedInvisible: boolean }
  | { readonly kind: "key"; readonly key: Key };

export type Key =
  | "enter"
  | "newline"
  | "escape"
  | "backspace"
  | "ctrl-c"
  | "ctrl-d"
  | "ctrl-u"
  | "up"
  | "down"
  | "left"
  | "right"
  | "other";

/** Longer reads without brackets count as a paste. */
const LONG_READ_CHARS = 800;
const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";
const TAB = "    ";
const CONTROL_KEYS: Readonly<Record<string, Key>> = {
  "\r": "enter",
  "\n": "newline",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x03": "ctrl-c",
  "\x04": "ctrl-d",
  "\x15": "ctrl-u",
};
const ARROWS: Readonly<Record<string, Key>> = { A: "up", B: "down", C: "right", D: "left" };

// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x09\x0b-\x1f\x7f]/g;
// deno-lint-ignore no-control-regex
const ESCAPE_SEQUENCES = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|.)?/g;
const INVISIBLE = /[\u200b\u00ad\u2060]/g;

function cleanPaste(raw: string): InputEvent {
  const text = raw
    .replace(ESCAPE_SEQUENCES, "")
    .replace(/\r\n?/g, "\n")
    .replaceAll("\t", TAB)
    .replace(CONTROLS, "");
  const visible = text.replace(INVISIBLE, "");
  return { kind: "paste", text: visible, removedInvisible: visible !== text };
}

export class InputDecoder {
  readonly #utf8 = new TextDecoder();
  #buffer = "";

  /** True when a lone ESC waits for what may follow it; call `flush()` when nothing does. */
  get pendingEscape(): boolean {
    return this.#buffer === "\x1b";
  }

  flush(): InputEvent[] {
    if (!this.pendingEscape) return [];
    this.#buffer = "";
    return [{ kind: "key", key: "escape" }];
  }

  feed(bytes: Uint8Array): InputEvent[] {
    this.#buffer += this.#utf8.decode(bytes, { stream: true });
    const events: InputEvent[] = [];
    while (this.#buffer !== "") {
      const [event, used] = this.#next(this.#buffer);
      if (used === 0) break;
      this.#buffer = this.#buffer.slice(used);
      if (event !== null) events.push(event);
    }
    return events;
  }

  /** The next event and how many characters it took; 0 = more input is needed. */
  #next(input: string): [InputEvent | null, number] {
    if (input.startsWith("\x1b")) return this.#escape(input);
    const control = CONTROL_KEYS[input[0] ?? ""];
    if (control !== undefined) return [{ kind: "key", key: control }, 1];
    const end = input.indexOf("\x1b");
    const run = end < 0 ? input : input.slice(0, end);
    if (run.length > LONG_READ_CHARS) return [cleanPaste(run), run.length];
    // deno-lint-ignore no-control-regex
    const plain = /^[^\x00-\x1f\x7f]+/.exec(run)?.[0];
    if (plain === undefined) return [{ kind: "key", key: "other" }, 1];
    return [{ kind: "text", text: plain.replace(INVISIBLE, "") }, plain.length];
  }

  #escape(input: string): [InputEvent | null, number] {
    if (input.startsWith(PASTE_START)) {
      const end = input.indexOf(PASTE_END, PASTE_START.length);
      if (end < 0) return [null, 0];
      return [cleanPaste(input.slice(PASTE_START.length, end)), end + PASTE_END.length];
    }
    if (input === "\x1b" || PASTE_START.startsWith(input)) return [null, 0];
    if (input.startsWith("\x1b\x1b")) return [{ kind: "key", key: "escape" }, 1];
    if (input.startsWith("\x1b\r")) return [{ kind: "key", key: "newline" }, 2];
    // deno-lint-ignore no-control-regex
    const sequence = /^\x1b[[O][0-9;?]*([@-~])/.exec(input);
    if (sequence !== null) {
      return [{ kind: "key", key: ARROWS[sequence[1] ?? ""] ?? "other" }, sequence[0].length];
    }
    // deno-lint-ignore no-control-regex
    if (/^\x1b[[O][0-9;?]*$/.test(input)) return [null, 0];
    return [{ kind: "key", key: "other" }, 2];
  }
}
