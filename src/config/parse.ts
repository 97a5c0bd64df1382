/**
 * The configuration file: text in, a validated configuration or everything that is wrong with it out. Nothing is read
 * from disk here. Each complaint says where (`file:line:column`), what must be there and what was found.
 */
import type { z } from 'zod';
import { err, ok, type Result } from '../base/result.js';
import { check } from './check.js';
import { nameOf, type Problem } from './problem.js';
import { DEFAULT_SOCKET, fileSchema } from './schema.js';
import { type Path, type Position, Source } from './source.js';
import { meantBy } from './suggest.js';
import type { Config } from './types.js';

export interface ConfigComplaint extends Position {
  readonly file: string;
  /** "interfaces.eth1.igmp.version: must be 1, 2 or 3 (got 4)". */
  readonly message: string;
}

export interface ParsedConfig {
  readonly config: Config;
  /** Allowed, but look: the daemon logs them. */
  readonly warnings: readonly ConfigComplaint[];
}

const EMPTY = 'the file is empty, so mgmd serves no interface; list some under "interfaces"';

/** `file` is only named, in complaints and in the result. `defaultSocket`: where the control socket is unless it says. */
export function parseConfig(
  text: string,
  file: string,
  defaultSocket = DEFAULT_SOCKET,
): Result<ParsedConfig, readonly ConfigComplaint[]> {
  const source = new Source(text);
  const complain = ({ line, column }: Position, message: string) => ({
    file,
    line,
    column,
    message: shortened(message),
  });
  const syntax = source.syntaxProblems();
  if (syntax.length > 0) return err(syntax.map((problem) => complain(problem, problem.message)));
  const values = source.values();
  const read = fileSchema.safeParse(values);
  if (!read.success) {
    const found = read.error.issues.flatMap((issue) => fromIssue(issue, values));
    return err(inOrder(found.map((problem) => complain(positionOf(source, problem), problem.message))));
  }
  const { config, errors, warnings } = check(read.data, file, defaultSocket);
  const told = (problems: readonly Problem[]) =>
    inOrder(problems.map((problem) => complain(positionOf(source, problem), problem.message)));
  const empty = values === undefined ? [complain({ line: 1, column: 1 }, EMPTY)] : [];
  return errors.length > 0 ? err(told(errors)) : ok({ config, warnings: [...empty, ...told(warnings)] });
}

/** One line for people and editors: `file:line:column: message`. */
export function formatComplaint(complaint: ConfigComplaint): string {
  return `${complaint.file}:${complaint.line}:${complaint.column}: ${complaint.message}`;
}

function positionOf(source: Source, problem: Problem): Position {
  return problem.at === 'key' ? source.keyPositionOf(problem.path) : source.positionOf(problem.path);
}

function inOrder(complaints: ConfigComplaint[]): readonly ConfigComplaint[] {
  return complaints.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The schema's messages are only "what fits"; here they become sentences. */
function fromIssue(issue: z.core.$ZodIssue, values: unknown): readonly Problem[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, issue.message));
  if (issue.code === 'invalid_key') {
    const fits = issue.issues[0]?.message ?? issue.message;
    return [{ path, at: 'key', message: `${nameOf(path)}: must be ${fits} (got ${show(path.at(-1))})` }];
  }
  const { found, value } = lookUp(values, path);
  if (!found) return [{ path, at: 'value', message: `${nameOf(path)}: missing; must be ${issue.message}` }];
  const message = `${nameOf(path)}: must be ${issue.message} (got ${show(value)})${hintOf(issue)}`;
  return [{ path, at: 'value', message }];
}

function hintOf(issue: z.core.$ZodIssue): string {
  const hint: unknown = issue.code === 'custom' ? issue.params?.['hint'] : undefined;
  return typeof hint === 'string' ? `; ${hint}` : '';
}

function unknownKey(path: Path, key: string, keys: string): Problem {
  const meant = meantBy(key, keys.split(/, | and /));
  const known = keys.includes(' ') ? `the keys are ${keys}` : `the only key is ${keys}`;
  const hint = meant === undefined ? known : `did you mean "${meant}"?`;
  return { path: [...path, key], at: 'key', message: `${nameOf(path)}: unknown key ${show(key)}; ${hint}` };
}

function lookUp(values: unknown, path: Path): { readonly found: boolean; readonly value: unknown } {
  let value = values;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part))
      return { found: false, value: undefined };
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return { found: true, value };
}

const LONGEST_SHOWN = 60;
/** A list of all keys of a section fits. */
const LONGEST_MESSAGE = 2000;

/** The parser quotes what it does not understand, however long and whatever it would do to a terminal. */
function shortened(message: string): string {
  const text = message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)}…` : message;
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu,
    (mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`,
  );
}

function show(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}
