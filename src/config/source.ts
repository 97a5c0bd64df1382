/**
 * The YAML text behind a configuration: its plain values, and where each stands. A configuration needs little of YAML, and
 * what else a file may say (tags, merge keys, numbers that are not decimal) is refused with its place. Everything here
 * takes time in proportion to the text, and nothing that is small as text becomes large as values.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { MAX_DEPTH, TOO_DEEP, tooMuchOf } from './amount.js';
import { utf8Length } from './text.js';

export type Path = readonly (string | number)[];

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
}

export interface SyntaxProblem extends Position {
  readonly message: string;
}

export const MAX_BYTES = 2 * 1024 * 1024;
/** With aliases resolved, keys included. */
const MAX_VALUES = 500_000;
/** More mistakes than anybody reads make no better answer. */
const MAX_PROBLEMS = 100;
const YAML_TAG = 'tag:yaml.org,2002:';
const TAGS = new Set(['str', 'int', 'bool', 'null', 'float', 'map', 'seq'].map((name) => YAML_TAG + name));
const DECIMAL = /^[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?$/;
/** Control and format characters (direction of writing, no width), ends of lines, halves of surrogate pairs. */
const CONTROL = /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Surrogate}/u;

export class Source {
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed | undefined;
  readonly #problems: SyntaxProblem[] = [];
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Node, Node>();
  readonly #pairs = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  readonly #values: unknown;
  #count = 0;
  /** Nothing more is looked at. */
  #stopped = false;

  constructor(text: string) {
    if (text.length > MAX_BYTES || utf8Length(text) > MAX_BYTES) {
      this.#problem(undefined, `the file is larger than ${MAX_BYTES / 2 ** 20} MiB; shorten it`);
      return;
    }
    const tooMuch = tooMuchOf(text);
    if (tooMuch) {
      this.#problems.push({ ...placeIn(text, tooMuch.offset), message: tooMuch.message });
      return;
    }
    this.#document = this.#parse(text);
    if (!this.#document || this.#problems.length > 0) return;
    const { yaml } = this.#document.directives;
    if (yaml.explicit && yaml.version !== '1.2')
      this.#problem(undefined, `must be YAML 1.2 (got ${yaml.version}); remove the line`);
    this.#values = this.#valueOf(this.#document.contents, 0);
  }

  /** What is wrong with the text; nothing else may be asked while there is something. */
  syntaxProblems(): readonly SyntaxProblem[] {
    return this.#problems;
  }

  /** The whole text as plain values; undefined when it is empty. */
  values(): unknown {
    return this.#values ?? undefined;
  }

  /** Where the value at `path` starts; where it is absent, its nearest ancestor. */
  positionOf(path: Path): Position {
    return this.#at(this.#find(path)?.range?.[0]);
  }

  /** Where the last key of `path` stands. */
  keyPositionOf(path: Path): Position {
    const parent = this.#find(path.slice(0, -1));
    const pair = isMap(parent) ? this.#pairs.get(parent)?.get(String(path.at(-1))) : undefined;
    return pair ? this.#at((pair.key as Node | undefined)?.range?.[0]) : this.positionOf(path);
  }

  #parse(text: string): Document.Parsed | undefined {
    // A trace for each of a million errors would take most of the time.
    const traces = Error as { stackTraceLimit?: number };
    const before = traces.stackTraceLimit ?? 10;
    traces.stackTraceLimit = 0;
    try {
      const options = { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false, logLevel: 'error' } as const;
      const document = parseDocument(text, options);
      for (const { pos, message } of [...document.errors, ...document.warnings])
        this.#problem(pos[0], inOurWords(message));
      return document;
    } catch {
      // The parser recurses; only what is nested thousands of levels deep makes it throw.
      this.#problem(undefined, TOO_DEEP);
      return undefined;
    } finally {
      traces.stackTraceLimit = before;
    }
  }

  #valueOf(node: Node | null | undefined, depth: number): unknown {
    if (!node || this.#stopped) return null;
    if (depth > MAX_DEPTH) return this.#problem(node, TOO_DEEP);
    if (++this.#count > MAX_VALUES) return this.#tooMany(node);
    if (isAlias(node)) return this.#behindAlias(node, depth);
    if (node.tag !== undefined && !TAGS.has(node.tag)) return this.#problem(node, notSupported(node.tag));
    const value = this.#ownValueOf(node, depth);
    // Not before: an anchor is not known inside of itself.
    if (!isAlias(node) && 'anchor' in node && typeof node.anchor === 'string') this.#anchors.set(node.anchor, node);
    return value;
  }

  #ownValueOf(node: Node, depth: number): unknown {
    if (isMap(node)) return this.#mapping(node, depth);
    if (isSeq(node)) return node.items.map((item) => this.#valueOf(item as Node | null, depth + 1));
    return isScalar(node) ? this.#scalar(node) : this.#problem(node, 'must be a value');
  }

  #behindAlias(alias: Node & { readonly source: string }, depth: number): unknown {
    const target = this.#targets.get(alias) ?? this.#anchors.get(alias.source);
    if (!target) return this.#problem(alias, `no anchor "&${alias.source}" before this alias; define it further up`);
    this.#targets.set(alias, target);
    return this.#valueOf(target, depth);
  }

  #mapping(map: YAMLMap, depth: number): unknown {
    const pairs = new Map<string, Pair>();
    const values: Record<string, unknown> = {};
    for (const pair of map.items) {
      const key = this.#keyOf(pair, map);
      if (key === undefined) continue;
      if (pairs.has(key)) this.#duplicate(key, pair.key as Node, pairs.get(key)?.key as Node);
      pairs.set(key, pair);
      values[key] = this.#valueOf(pair.value as Node | null, depth + 1);
    }
    this.#pairs.set(map, pairs);
    return values;
  }

  /** As it is written, so that an interface named 0x10 or true keeps its name. */
  #keyOf({ key }: Pair, map: YAMLMap): string | undefined {
    if (++this.#count > MAX_VALUES) return this.#tooMany(key as Node);
    const node = isAlias(key) ? this.#anchors.get(key.source) : key;
    if (!isScalar(node))
      return this.#problem((key as Node | null) ?? map, 'a key must be a plain text, not a list or a mapping');
    const { source, value, anchor } = node as Scalar;
    if (anchor !== undefined) this.#anchors.set(anchor, node as Node);
    const text = typeof value === 'string' ? value : (source ?? String(value));
    if (text === '') return this.#problem(node as Node, 'a key is empty; write one before the colon');
    if (text === '__proto__') return this.#problem(node as Node, '"__proto__" cannot be a key; use another name');
    if (text === '<<') return this.#problem(node as Node, 'merge keys ("<<") are not supported; repeat the keys');
    this.#checkText(text, node as Node);
    return text;
  }

  #scalar(node: Scalar & Node): unknown {
    const { value, source } = node;
    if (typeof value === 'string') this.#checkText(value, node);
    if (typeof value === 'number' && !(source !== undefined && DECIMAL.test(source) && Number.isFinite(value)))
      this.#problem(
        node,
        `must be a decimal number without leading zeros (got ${cut(source)}); quote it if it is a text`,
      );
    return value;
  }

  #checkText(text: string, node: Node): void {
    const code = CONTROL.exec(text)?.[0].codePointAt(0);
    if (code === undefined) return;
    const name = code.toString(16).toUpperCase().padStart(4, '0');
    this.#problem(node, `${quoted(text)} contains the control character U+${name}; remove it`);
  }

  #duplicate(key: string, node: Node, first: Node): void {
    this.#problem(node, `duplicate key ${quoted(key)}, first on line ${this.#at(first.range?.[0]).line}; keep one`);
  }

  #tooMany(node: Node | null | undefined): undefined {
    this.#problem(node, `more than ${MAX_VALUES} values, aliases resolved, which is the limit; use fewer aliases`);
    this.#stopped = true;
    return undefined;
  }

  #problem(where: Node | number | null | undefined, message: string): undefined {
    if (this.#stopped || this.#problems.length >= MAX_PROBLEMS) return undefined;
    const offset = typeof where === 'number' ? where : where?.range?.[0];
    this.#problems.push({ ...this.#at(offset), message });
    return undefined;
  }

  /** Walks as far along `path` as the text goes. */
  #find(path: Path): Node | undefined {
    let node = this.#resolved(this.#document?.contents);
    for (const part of path) {
      const next = this.#resolved(this.#childOf(node, part));
      if (!next) break;
      node = next;
    }
    return node;
  }

  #childOf(node: Node | undefined, part: string | number): Node | undefined {
    if (isSeq(node)) return node.items[Number(part)] as Node | undefined;
    if (!isMap(node)) return undefined;
    return (this.#pairs.get(node)?.get(String(part))?.value ?? undefined) as Node | undefined;
  }

  #resolved(node: Node | null | undefined): Node | undefined {
    return (isAlias(node) ? this.#targets.get(node) : node) ?? undefined;
  }

  #at(offset: number | undefined): Position {
    const { line, col } = this.#lines.linePos(offset ?? 0);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

const UNRESOLVED = 'Unresolved tag: ';

function notSupported(tag: string): string {
  return `the tag ${quoted(tag.replace(YAML_TAG, '!!'))} is not supported here; remove it`;
}

/** The parser's complaints, and where it speaks of itself, what that means for the file. */
function inOurWords(message: string): string {
  if (/call stack/.test(message)) return TOO_DEEP;
  if (message.startsWith(UNRESOLVED)) return notSupported(message.slice(UNRESOLVED.length));
  return `not YAML: ${message.replace(/; please use .*/, '; keep one')}`;
}

/** Without the parser's list of lines, which it makes while it parses. */
function placeIn(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

const LONGEST_SHOWN = 60;

function cut(text = ''): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function quoted(text: string): string {
  return JSON.stringify(cut(text));
}
