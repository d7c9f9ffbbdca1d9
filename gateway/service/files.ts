/** The files of the service: replaced at once or not at all, and readable for the user alone. */

export async function writeAtomically(path: string, content: string): Promise<void> {
  await Deno.mkdir(parentOf(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeTextFile(partial, content, { mode: 0o600, createNew: true });
    await Deno.rename(partial, path);
  } catch (error) {
    await removeIfThere(partial);
    throw error;
  }
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export async function readOrNull(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Also for a link that leads nowhere. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
