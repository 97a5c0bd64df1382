/** The YAML text behind a configuration: what stands at a path, and where. */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';

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

export class Source {
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;

  constructor(text: string) {
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, logLevel: 'error' });
  }

  /** What is wrong with the text as YAML; nothing else may be asked while there is something. */
  syntaxProblems(): readonly SyntaxProblem[] {
    const problems = this.#document.errors.map((error) => ({ ...this.#at(error.pos[0]), message: error.message }));
    visit(this.#document, {
      Alias: (_key, alias) => {
        if (alias.resolve(this.#document)) return;
        problems.push({ ...this.#at(alias.range?.[0]), message: `no anchor "&${alias.source}" before this alias` });
      },
    });
    return problems;
  }

  /** The whole text as plain values. Throws when aliases multiply beyond reason. */
  values(): unknown {
    return this.#document.toJS() as unknown;
  }

  /** Where the value at `path` starts; where it is absent, its nearest ancestor. */
  positionOf(path: Path): Position {
    return this.#at(this.#find(path, (node) => node.range?.[0]));
  }

  /** Where the last key of `path` stands. */
  keyPositionOf(path: Path): Position {
    const key = path.at(-1);
    const parent = this.#find(path.slice(0, -1), (node) => node);
    const pair = isMap(parent) ? parent.items.find((item) => wordOf(item.key) === String(key)) : undefined;
    return pair ? this.#at((pair.key as Node | undefined)?.range?.[0]) : this.positionOf(path);
  }

  /** Walks as far along `path` as the text goes; the last answer of `ask` that is not undefined. */
  #find<T>(path: Path, ask: (node: Node) => T | undefined): T | undefined {
    let node = this.#resolved(this.#document.contents);
    let found = node && ask(node);
    for (const part of path) {
      node = this.#resolved(childOf(node, part));
      if (!node) break;
      found = ask(node) ?? found;
    }
    return found;
  }

  #resolved(node: Node | null | undefined): Node | undefined {
    return (isAlias(node) ? node.resolve(this.#document) : node) ?? undefined;
  }

  #at(offset: number | undefined): Position {
    const { line, col } = this.#lines.linePos(offset ?? 0);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function childOf(node: Node | undefined, part: string | number): Node | undefined {
  if (isSeq(node)) return node.items[Number(part)] as Node | undefined;
  if (!isMap(node)) return undefined;
  return (node.items.find((item) => wordOf(item.key) === String(part))?.value ?? undefined) as Node | undefined;
}

function wordOf(key: unknown): string | undefined {
  return isScalar(key) ? String(key.value) : undefined;
}
