/** Where all conversations of a session are: `/clear` starts another transcript. */

import type { Observer } from "./observe.ts";
import { isInsideProjects } from "./transcript_path.ts";

/** In the order of their beginnings; not each of them need exist. */
export function conversationPaths(observer: Observer): Set<string> {
  const { configFolder } = observer.handle;
  const paths = new Set<string>();
  const first = observer.session.agentSessionId;
  if (first !== null) paths.add(observer.transcriptOf(first));
  const names = observer.hooks.names();
  for (const name of names) {
    if (!name.endsWith(".SessionStart.json")) continue;
    const path = observer.hooks.read(name)?.body.transcript_path;
    if (path !== undefined && isInsideProjects(configFolder, path)) paths.add(path);
  }
  paths.add(observer.transcript(observer.registry(), names));
  return paths;
}
