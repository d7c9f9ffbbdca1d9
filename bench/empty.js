/** Does nothing: what starting Deno itself costs. */
