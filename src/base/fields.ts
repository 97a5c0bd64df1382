/** A parsed JSON value that somebody else may have written, as an object whose members still have to be looked at. */
export type Fields = Readonly<Record<string, unknown>>;

/** Undefined for whatever is not an object with members: null, a list, a plain value. */
export function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}
