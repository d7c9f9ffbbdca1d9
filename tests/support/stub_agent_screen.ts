/** Draws the stub agent's classic screen: the conversation scrolls away above a live area of box or dialog. */

export interface LiveArea {
  /** Null draws no box (a dialog stands there instead). */
  readonly draft: string | null;
  readonly placeholder: string | null;
  readonly busy: boolean;
  /** Between the conversation and the box. */
  readonly above: readonly string[];
  /** Below the box, or the whole dialog. */
  readonly below: readonly string[];
}

const DIM = "\x1b[38;5;246m";
const RULE_COLOUR = "\x1b[38;5;244m";
const RESET = "\x1b[0m";
const NBSP = "\u00a0";
const MIN_ROWS_FOR_OTHERS = 8;

const encoder = new TextEncoder();

function isWide(code: number): boolean {
  return code >= 0x1100 &&
    (code <= 0x115f || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) || (code >= 0x1f300 && code <= 0x1faff) ||
      (code >= 0x20000 && code <= 0x3fffd));
}

/** Splits at newlines and at the width in terminal cells. */
function wrap(text: string, columns: number): string[] {
  const rows: string[] = [];
  for (const line of text.split("\n")) {
    let row = "";
    let used = 0;
    for (const char of line) {
      const cells = isWide(char.codePointAt(0) ?? 0) ? 2 : 1;
      if (used + cells > columns) {
        rows.push(row);
        row = "";
        used = 0;
      }
      row += char;
      used += cells;
    }
    rows.push(row);
  }
  return rows;
}

export class Screen {
  #pending: string[] = [];
  #liveRows = 0;
  #cursorRow = 0;

  /** Writes all bytes, whatever the terminal takes at once; a closed terminal is ignored. */
  write(text: string): void {
    const bytes = encoder.encode(text);
    try {
      for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    } catch {
      // The pane is gone; the process ends by signal or end of input.
    }
  }

  /** Adds lines to the conversation; shown with the next `draw`. */
  say(text: string): void {
    this.#pending.push(...text.split("\n"));
  }

  draw(live: LiveArea): void {
    const { columns, rows } = this.#size();
    const width = columns - 1;
    const rule = `${RULE_COLOUR}${"─".repeat(columns)}${RESET}`;
    const area: string[] = [...live.above.flatMap((line) => wrap(line, width))];
    let cursorRow = 0;
    if (live.draft !== null) {
      const max = Math.max(3, rows - MIN_ROWS_FOR_OTHERS - live.below.length - live.above.length);
      // Only the end of a long draft is visible, and wrapping all of it at each paste would take minutes.
      const visible = live.draft.slice(-max * columns);
      const lines = wrap(visible, columns - 3).slice(-max);
      const colour = live.busy ? DIM : "";
      const bash = live.draft.startsWith("!");
      if (bash && lines[0] !== undefined) lines[0] = lines[0].slice(1);
      area.push(rule);
      lines.forEach((line, i) => {
        const last = i === lines.length - 1;
        const cursor = last ? cursorCell(live.draft === "" ? live.placeholder : null) : "";
        area.push(`${i === 0 ? `${colour}${bash ? "!" : "❯"}${NBSP}${RESET}` : "  "}${line}${cursor}`);
      });
      cursorRow = area.length - 1;
      area.push(rule);
    } else {
      area.push(rule);
    }
    for (const line of live.below) area.push(...wrap(line, width));
    const up = this.#liveRows === 0 ? "" : `\r${this.#cursorRow > 0 ? `\x1b[${this.#cursorRow}A` : ""}`;
    const said = this.#pending.flatMap((line) => wrap(line, width)).map((line) => line + "\r\n").join("");
    this.#pending = [];
    const down = area.length - 1 - cursorRow;
    this.write(
      `\x1b[?25l${up}\r\x1b[J${said}${area.join("\r\n")}${down > 0 ? `\x1b[${down}A` : ""}\r\x1b[2C`,
    );
    this.#liveRows = area.length;
    this.#cursorRow = cursorRow;
  }

  #size(): { columns: number; rows: number } {
    try {
      const { columns, rows } = Deno.consoleSize();
      return { columns: columns || 80, rows: rows || 24 };
    } catch {
      return { columns: 80, rows: 24 };
    }
  }
}

/** The inverse cell that Claude draws itself, with a dim placeholder after it. */
function cursorCell(placeholder: string | null): string {
  if (placeholder === null || placeholder === "") return `\x1b[7m ${RESET}`;
  return `\x1b[7m${placeholder.slice(0, 1)}\x1b[0;2m${placeholder.slice(1)}${RESET}`;
}
