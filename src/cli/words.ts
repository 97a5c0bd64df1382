/** Unique prefixes: `mgmctl sh int` means `mgmctl show interfaces`. */

/** What was typed cannot be meant; the tool ends with its usage code. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The one known word that `typed` begins; an exact one wins. Throws UsageError for none and for several. */
export function completed(typed: string, known: readonly string[], what: string): string {
  const begun = known.filter((word) => word.startsWith(typed));
  if (begun.includes(typed)) return typed;
  if (begun.length === 1) return begun[0]!;
  if (begun.length > 1) throw new UsageError(`"${typed}" could be ${begun.join(', ')}; type one letter more`);
  throw new UsageError(`there is no ${what} "${typed}"; there is ${known.join(', ')}`);
}

/**
 * Dotted names from words, each of which may be a prefix: `igmp gr` -> "igmp.groups". A name that is the beginning of
 * others ("igmp") is meant when nothing follows.
 */
export function completedName(typed: readonly string[], names: readonly string[], what: string): string {
  const parts: string[] = [];
  for (const word of typed) {
    const under = names.map((name) => name.split('.')).filter((path) => parts.every((part, at) => path[at] === part));
    const known = [...new Set(under.map((path) => path[parts.length]).filter((part) => part !== undefined))];
    if (known.length === 0) throw new UsageError(`there is nothing more under ${what} "${parts.join(' ')}"`);
    parts.push(completed(word, known, what));
  }
  const name = parts.join('.');
  if (names.includes(name)) return name;
  const further = names.filter((other) => other.startsWith(`${name}.`)).map((other) => other.replaceAll('.', ' '));
  throw new UsageError(`${what} "${parts.join(' ')}" has parts; name one: ${further.join(', ')}`);
}

/** Options that are followed by a value. */
const WITH_VALUE = ['--socket', '--instance', '--by', '--from', '--to'];

/** Replaces the first word that is no option by the command it is a prefix of. */
export function completedCommand(argv: readonly string[], commands: readonly string[]): readonly string[] {
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (WITH_VALUE.includes(word)) at++;
    else if (!word.startsWith('-')) return argv.toSpliced(at, 1, completed(word, commands, 'command'));
  }
  return argv;
}
