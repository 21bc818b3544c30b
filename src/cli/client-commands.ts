/**
 * The commands that need nothing of what runs a service, and are over soon.
 *
 * They are bundled into a script of their own (tools/bundle.mjs): what is not in it takes no time to load.
 */
export const clientCommands: readonly string[] = [
  ...['get', 'put', 'sync', 'verify', 'ls', 'stat', 'trace', 'send', 'routes'],
];
