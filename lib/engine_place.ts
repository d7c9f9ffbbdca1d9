/** The variables that say which container engine is meant, beside `~/.docker`: each who starts its command line needs them. */

export const PLACE_NAMES = [
  "DOCKER_HOST",
  "DOCKER_CONTEXT",
  "DOCKER_CONFIG",
  "DOCKER_TLS_VERIFY",
  "DOCKER_CERT_PATH",
  "DOCKER_API_VERSION",
] as const;
