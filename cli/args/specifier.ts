/**
 * How a module is named on the command line.
 *
 * @module
 */

/** Whether an argument is a path or a URL, rather than a mistyped word. */
export function looksLikeModule(arg: string): boolean {
  return isUrl(arg) || /[/\\]|\.[cm]?[jt]sx?$/.test(arg);
}

/** Whether the name of a module is a URL, rather than a path. */
export function isUrl(specifier: string): boolean {
  return /^(?:https?|file|data|jsr|npm):/i.test(specifier);
}
