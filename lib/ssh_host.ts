/** What may be given to ssh as the name of a host; ssh's own configuration decides what it stands for. Pure. */

const MAX_LENGTH = 255;
// deno-lint-ignore no-control-regex
const UNUSABLE = /[\s\x00-\x1f\x7f-\x9f]/;

/** Whether ssh can take it for nothing but a destination. */
export function isSshHost(text: string): boolean {
  return text !== "" && text.length <= MAX_LENGTH && !text.startsWith("-") && !UNUSABLE.test(text);
}
