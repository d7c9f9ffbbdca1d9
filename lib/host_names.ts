/** Names and addresses of hosts, as they stand in a `Host` header without its port. Pure. */

const NAME = /^[a-z0-9]([a-z0-9._-]{0,252}[a-z0-9])?$/;
const IPV6 = /^(?=.*:.*:)[0-9a-f:.]+$/;

/** Whether this could be the name of a host, or its address. */
export function isHostName(text: string): boolean {
  const name = text.toLowerCase();
  return NAME.test(name) || IPV6.test(name);
}

/** As it stands in brackets. */
export function isIpv6(text: string): boolean {
  return IPV6.test(text);
}
