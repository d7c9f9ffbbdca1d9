/** What may be given to ssh as the name of a host; ssh's own configuration decides what it stands for. Pure. */

const MAX_LENGTH = 255;
// deno-lint-ignore no-control-regex
const UNUSABLE = /[\s\x00-\x1f\x7f-\x9f;&|`$()<>'"*?{}]/;

/** Whether ssh can take it for nothing but a destination, and a shell for one word. */
export function isSshHost(text: string): boolean {
  const host = text.slice(text.lastIndexOf("@") + 1);
  return host !== "" && text.length <= MAX_LENGTH && ![text, host].some((part) => part.startsWith("-")) &&
    !UNUSABLE.test(text);
}
