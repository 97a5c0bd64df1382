/**
 * Views in pages. A page is made in small steps and turned into text on the way; the rows behind it are not made before
 * somebody asks for them. What stands between two pages is a cursor, and nothing is copied.
 */
import { type Answer, whenAnswered } from '../base/answer.js';
import type { Row } from './messages.js';
import type { View } from './operator.js';

/** A page ends when it is about this long, in characters. */
const PAGE_LENGTH = 256 * 1024;
/** Cursors of a connection; the oldest is forgotten for one more. */
const CURSORS = 4;
/** A cursor that nobody uses for so long is forgotten: it may keep alive what its table has long deleted. */
const CURSOR_IDLE_MS = 30_000;

/** The rows that are not read yet. */
interface Cursor {
  readonly rows: Iterator<Row | undefined>;
  /** The first of them as text, where it has been made to see whether there is one. */
  first: string | undefined;
}

export class Page {
  readonly cursor: Cursor;
  readonly #columns: readonly string[] | undefined;
  readonly #texts: string[] = [];
  #length = 0;

  constructor(cursor: Cursor, columns?: readonly string[]) {
    this.cursor = cursor;
    this.#columns = columns;
  }

  /** Makes a row, or passes over something that has none. False: the page is complete. Throws what the view throws. */
  step(): boolean {
    const text = this.cursor.first ?? nextOf(this.cursor.rows);
    this.cursor.first = undefined;
    if (text === undefined) return false;
    if (text === NO_ROW) return true;
    if (this.#length < PAGE_LENGTH) {
      this.#texts.push(text);
      this.#length += text.length;
      return true;
    }
    this.cursor.first = text;
    return false;
  }

  /** As a RowsPage. */
  json(more: number | undefined): string {
    const columns = this.#columns ? `,"columns":${JSON.stringify(this.#columns)}` : '';
    return `{"rows":[${this.#texts.join()}]${columns}${more === undefined ? '' : `,"more":${more}`}}`;
  }
}

const NO_ROW = '';

/** Undefined at the end. */
function nextOf(rows: Iterator<Row | undefined>): string | undefined {
  const row: IteratorResult<Row | undefined, unknown> = rows.next();
  if (row.done === true) return undefined;
  return row.value === undefined ? NO_ROW : JSON.stringify(row.value);
}

/** The cursors of one connection. */
export class Pages {
  readonly #cursors = new Map<number, { readonly cursor: Cursor; readonly keptMs: number }>();
  #last = 0;

  /** A view's first page, to be made. */
  first({ columns, rows }: View): Answer<Page> {
    return whenAnswered(rows(), (all) => new Page({ rows: all[Symbol.iterator](), first: undefined }, columns));
  }

  /** The page behind; undefined: the cursor is not there any more. */
  more(number: number): Page | undefined {
    const kept = this.#cursors.get(number);
    this.#cursors.delete(number);
    return kept && new Page(kept.cursor);
  }

  /** The page as text, with a cursor for what is behind it. */
  complete(page: Page, nowMs: number): string {
    if (page.cursor.first === undefined) return page.json(undefined);
    this.#cursors.set(++this.#last, { cursor: page.cursor, keptMs: nowMs });
    if (this.#cursors.size > CURSORS) this.#forget(this.#cursors.keys().next().value!);
    return page.json(this.#last);
  }

  forgetIdle(nowMs: number): void {
    for (const [number, { keptMs }] of this.#cursors) if (nowMs - keptMs >= CURSOR_IDLE_MS) this.#forget(number);
  }

  clear(): void {
    for (const number of this.#cursors.keys()) this.#forget(number);
  }

  #forget(number: number): void {
    this.#cursors.get(number)?.cursor.rows.return?.();
    this.#cursors.delete(number);
  }
}
