/** How much there is in a YAML text, counted before it is parsed: what the parser makes of a short text can fill the heap. */
import { Lexer } from 'yaml';

/** Words and marks (":", "-", "[", ...): 25,000 static routes have as many. */
export const MAX_WORDS = 500_000;
export const MAX_DEPTH = 32;

export interface TooMuch {
  /** Where it is too much, in characters from the start. */
  readonly offset: number;
  readonly message: string;
}

export const TOO_MANY = `more than ${MAX_WORDS} words and marks, which is the limit; shorten the file`;
export const TOO_DEEP = `nested more than ${MAX_DEPTH} levels deep; check the brackets and the indentation`;

/** What the lexer adds by itself: start of document, end of flow scalar, start of scalar, byte order mark. */
const ADDED = new Set(['\u0002', '\u0018', '\u001f', '\ufeff']);
const BLANK = /^[ \t\r\n#]/;
const DEEPER: Readonly<Record<string, number>> = { '[': 1, '{': 1, ']': -1, '}': -1 };

/** Undefined: the parser can take it. */
export function tooMuchOf(text: string): TooMuch | undefined {
  let [offset, words, depth] = [0, 0, 0];
  for (const token of new Lexer().lex(text)) {
    if (ADDED.has(token)) continue;
    depth += DEEPER[token] ?? 0;
    if (depth > MAX_DEPTH) return { offset, message: TOO_DEEP };
    if (!BLANK.test(token) && ++words > MAX_WORDS) return { offset, message: TOO_MANY };
    offset += token.length;
  }
  return undefined;
}
