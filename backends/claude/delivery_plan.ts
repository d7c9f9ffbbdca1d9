/** Turns a message into one tmux command file that types all of it and presses Enter. Pure. */

import { COMMAND_GUARD } from "./text_match.ts";

/** More in one paste and Claude marks the text as pasted from elsewhere. Measured with 2.1.330. */
const CHUNK_UNITS = 600;
const CHUNK_NEWLINES = 2;

/** Words on their own that end Claude. Source: the list in 2.1.330. */
const EXIT_WORDS: ReadonlySet<string> = new Set(["exit", "quit", ":q", ":q!", ":wq", ":wq!"]);

/** Claude drops these, and may swallow the Enter over it: bidirectional controls, line separators excepted. */
const BIDI_CONTROLS = /[\u061c\u202a-\u202e\u2066-\u2069]/g;
/** Invisible at the start, they would uncover a leading `/` or `!` once Claude has dropped them. */
const LEADING_INVISIBLE = /^[\p{Default_Ignorable_Code_Point}\ufeff]+/u;

/**
 * The text as it is typed: a leading `!` (bash mode), a `/word` (command) and a lone exit word get a blank in front
 * that keeps Claude from acting on them; the space at the end, which Claude trims off, keeps a trailing `\` from
 * eating the Enter and an emoji short code from being completed.
 */
export function guardText(text: string): string {
  const clean = text
    .replace(/[\u2028\u2029]/g, "\n")
    .replace(BIDI_CONTROLS, "")
    .replace(LEADING_INVISIBLE, "");
  return `${guardFor(clean)}${clean} `;
}

/** Judges what is left of the text once Claude has dropped the invisible characters. */
function guardFor(text: string): string {
  const seen = text.replace(/\p{Default_Ignorable_Code_Point}/gu, "");
  const start = seen.trimStart();
  if (start.startsWith("!")) return start === seen ? " " : "";
  if (/^\/[^\s/]*(\s|$)/.test(start)) return COMMAND_GUARD;
  if (EXIT_WORDS.has(seen.trim())) return COMMAND_GUARD;
  return "";
}

/** Pieces that joined give the text; none is long, none splits a character. */
export function chunk(text: string): string[] {
  const chunks: string[] = [];
  let current = "";
  let newlines = 0;
  for (const character of text) {
    if (
      current.length + character.length > CHUNK_UNITS || (character === "\n" && newlines === CHUNK_NEWLINES)
    ) {
      chunks.push(current);
      current = "";
      newlines = 0;
    }
    current += character;
    if (character === "\n") newlines++;
  }
  if (current !== "") chunks.push(current);
  return chunks;
}

/** Quotes for tmux's command parser; a line feed stands as an escape, since a raw one is not kept in a quote. */
export function tmuxQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`).replaceAll("\n", `'"\\n"'`)}'`;
}

/**
 * Commands for one `source-file`: tmux carries them out without its client, so that a sender killed at any moment
 * leaves all of the message or nothing. Copy mode is left first, as keys pressed there are commands of it.
 */
export function deliveryScript(
  pane: string,
  text: string,
  bufferPrefix: string,
): { script: string; pastes: number } {
  const chunks = chunk(guardText(text));
  const lines = chunks.flatMap((piece, index) => {
    const buffer = `${bufferPrefix}-${index}`;
    return [
      `set-buffer -b ${buffer} -- ${tmuxQuote(piece)}`,
      `paste-buffer -p -r -d -b ${buffer} -t ${pane}`,
    ];
  });
  return {
    script: [
      `if-shell -F -t ${pane} '#{pane_in_mode}' 'send-keys -t ${pane} -X cancel'`,
      ...lines,
      `send-keys -t ${pane} Enter`,
      "",
    ].join("\n"),
    pastes: chunks.length,
  };
}
