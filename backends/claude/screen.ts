/**
 * Reads Claude's input box off a captured screen. It may only veto typing or tell that our own text still stands
 * there; it never says what the agent does. Pure.
 */

export interface ScreenCapture {
  /** `capture-pane -e`: lines with SGR sequences. */
  readonly text: string;
  /** The caret, 0-based. */
  readonly cursorX: number;
  readonly cursorY: number;
}

export type InputBox =
  | { readonly kind: "empty" }
  /** Text that somebody typed and did not send. */
  | { readonly kind: "draft"; readonly text: string }
  /** Text would run as a shell command, or the keys would mean something else. */
  | { readonly kind: "other_mode"; readonly what: string }
  /** No input box that we know. */
  | { readonly kind: "unrecognised" };

interface Cell {
  readonly character: string;
  readonly dim: boolean;
  readonly reverse: boolean;
}

/** The prompt of the box stands before a no-break space, in history lines and menus before a plain one. */
const PROMPT = "❯\u00a0";
const BASH_PROMPT = "!\u00a0";
const COLOUR = /(^|;)[345]8(?:[;:]5[;:]\d+|;2;\d+;\d+;\d+|:2:[\d:]*)/g;
const RULE = /^[─━╌]{10,}/;

export function readInputBox(capture: ScreenCapture): InputBox {
  const lines = parseScreen(capture.text);
  const texts = lines.map((line) => line.map((cell) => cell.character).join(""));
  const bottom = texts.findLastIndex((text) => RULE.test(text));
  // Only the lines below the box say so; above it, the same words are an agent's reply.
  const footer = texts.slice(bottom + 1);
  if (footer.some((text) => /^\s*-- VISUAL( LINE| BLOCK)? --/.test(text))) {
    return { kind: "other_mode", what: "vim's visual mode" };
  }
  if (texts.some((text) => text.startsWith(BASH_PROMPT))) return { kind: "other_mode", what: "bash mode" };
  if (footer.some((text) => /^\s*search prompts:/.test(text))) {
    return { kind: "other_mode", what: "the search of earlier prompts" };
  }
  const prompt = texts.findLastIndex((text) => text.startsWith(PROMPT));
  if (prompt === -1) return tallDraft(lines, texts, bottom, capture.cursorY);
  const end = texts.findIndex((text, index) => index > prompt && RULE.test(text));
  const last = end === -1 ? texts.length : end;
  if (capture.cursorY < prompt || capture.cursorY >= last) return { kind: "unrecognised" };
  const box = lines.slice(prompt, last).map((line) => line.slice(2));
  return isEmpty(box) ? { kind: "empty" } : { kind: "draft", text: textOf(box) };
}

/** Whether the box takes keys as vim's INSERT mode does: there the first Escape only leaves that mode. */
export function isVimInsert(capture: ScreenCapture): boolean {
  const texts = parseScreen(capture.text).map((line) => line.map((cell) => cell.character).join(""));
  const bottom = texts.findLastIndex((text) => RULE.test(text));
  return bottom !== -1 && texts.slice(bottom + 1).some((text) => /^\s*-- INSERT --/.test(text));
}

/** A draft higher than the screen has no prompt line left, but the caret stands above the box's lower rule. */
function tallDraft(
  lines: readonly Cell[][],
  texts: readonly string[],
  bottom: number,
  cursorY: number,
): InputBox {
  const indented = bottom > 0 &&
    texts.slice(0, bottom).every((text) => text.trim() === "" || text.startsWith("  "));
  if (!indented || cursorY >= bottom || cursorY < bottom - 1) return { kind: "unrecognised" };
  return { kind: "draft", text: textOf(lines.slice(0, bottom).map((line) => line.slice(2))) };
}

/** Blank, or a placeholder: dim but for the first character, which the caret covers. */
function isEmpty(box: readonly (readonly Cell[])[]): boolean {
  const ink = box.flat().filter((cell) => cell.character.trim() !== "");
  if (ink.length === 0) return true;
  const [first, ...rest] = ink;
  return (first!.dim || (first!.reverse && rest.length > 0)) && rest.every((cell) => cell.dim);
}

function textOf(box: readonly (readonly Cell[])[]): string {
  return box.map((line) => line.map((cell) => cell.character).join("").trimEnd()).join("\n").trimEnd();
}

/** Whether the box ends with the end of this text; wraps and indents of the box do not count. */
export function endsWithText(box: string, text: string): boolean {
  const tail = squeeze(text).slice(-60);
  return tail !== "" && squeeze(box).endsWith(tail);
}

/** Whether the box shows this text and nothing else; of a text higher than the screen, its end. */
export function showsOnlyText(box: string, text: string): boolean {
  return endsWithText(box, text) && squeeze(text).endsWith(squeeze(box));
}

/** Whether all that the box shows is a piece of this text. */
export function showsPartOfText(box: string, text: string): boolean {
  return squeeze(text).includes(squeeze(box));
}

function squeeze(text: string): string {
  return text.replace(/[\s\u2800]|\p{Default_Ignorable_Code_Point}/gu, "").normalize("NFC");
}

/** Cells with the two attributes that matter; attributes carry over from line to line. */
function parseScreen(text: string): Cell[][] {
  let dim = false;
  let reverse = false;
  return text.replace(/\n$/, "").split("\n").map((line) => {
    const cells: Cell[] = [];
    // deno-lint-ignore no-control-regex
    for (const part of line.split(/(\x1b\[[0-9;:]*m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x0e|\x0f)/)) {
      if (part.startsWith("\x1b[")) {
        // A colour's own numbers, of which 2 and 7 are no attributes, go first.
        const codes = part.slice(2, -1);
        for (const code of codes.replace(COLOUR, "").split(";")) {
          if (codes === "" || code === "0") dim = reverse = false;
          else if (code === "2") dim = true;
          else if (code === "22") dim = false;
          else if (code === "7") reverse = true;
          else if (code === "27") reverse = false;
        }
      } else if (!part.startsWith("\x1b")) {
        for (const character of part) cells.push({ character, dim, reverse });
      }
    }
    return cells;
  });
}
