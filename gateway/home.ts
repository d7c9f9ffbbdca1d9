/** The sessions of this machine, for requests that may have to do with those of other hosts alone. */

import type { Manager } from "../lib/manager.ts";

/** The sessions of this machine, loaded with the first of them: a request to another host is on its way before. */
export class Home {
  #manager: Promise<Manager> | null = null;

  constructor(private readonly load: () => Promise<Manager>) {}

  /** One that is loaded. */
  static of(manager: Manager): Home {
    const home = new Home(() => Promise.resolve(manager));
    void home.manager();
    return home;
  }

  /** @throws AppError when the registry can't be read. */
  manager(): Promise<Manager> {
    return this.#manager ??= this.load();
  }

  /** The one that was loaded, if any was. */
  loaded(): Promise<Manager | null> {
    return this.#manager ?? Promise.resolve(null);
  }
}
