/** Tables for people: rows of any view as aligned columns. Knows no view and no protocol. */
import type { Row } from '../control/messages.js';

/**
 * A header and a line per row; `columns` are names of fields ("counters.packetsIn"), by default all there are. "dropped[]" is
 * an object of numbers of which each that is not 0 gets a line of its own.
 */
export function formatTable(rows: readonly Row[], columns: readonly string[] = fieldsOf(rows)): string {
  const folded = columns.filter((column) => column.endsWith('[]'));
  if (folded.length === 0) return table(rows, columns);
  const fields = folded.map((column) => column.slice(0, -2));
  const kept = columns.filter((column) => !folded.includes(column));
  return table(unfolded(rows, fields), [...kept, 'counter', 'reason', 'value']);
}

function unfolded(rows: readonly Row[], fields: readonly string[]): readonly Row[] {
  return rows.flatMap((row) =>
    fields.flatMap((counter) =>
      Object.entries((row[counter] ?? {}) as Readonly<Record<string, unknown>>)
        .filter(([, value]) => value !== 0)
        .map(([reason, value]) => ({ ...row, counter, reason, value })),
    ),
  );
}

function table(rows: readonly Row[], columns: readonly string[]): string {
  const cells = rows.map((row) => columns.map((column) => formatCell(column, valueAt(row, column))));
  const titles = columns.map(titleOf);
  const widths = titles.map((title, at) =>
    cells.reduce((width, line) => Math.max(width, line[at]!.length), title.length),
  );
  const toRight = columns.map((column) => rows.some((row) => typeof valueAt(row, column) === 'number'));
  const layOut = (line: readonly string[]) =>
    line
      .map((text, at) => (toRight[at] ? text.padStart(widths[at]!) : text.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd();
  return [titles, ...cells].map((line) => `${layOut(line)}\n`).join('');
}

function fieldsOf(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

function valueAt(row: Row, column: string): unknown {
  let value: unknown = row;
  for (const key of column.split('.')) value = (value as Row | null | undefined)?.[key];
  return value;
}

/** "counters.packetsIn" -> "PACKETS IN", "expiresInMs" -> "EXPIRES IN". */
function titleOf(column: string): string {
  const word = column.slice(column.lastIndexOf('.') + 1).replace(/Ms$/, '');
  return word.replace(/(?<=[a-z\d])(?=[A-Z])/g, ' ').toUpperCase();
}

function formatCell(column: string, value: unknown): string {
  if (typeof value === 'number' && column.endsWith('Ms')) return formatSeconds(value / 1000);
  if (typeof value === 'number' && !Number.isInteger(value)) return formatSeconds(value);
  return formatValue(value);
}

/** Times are all that is not whole; below ten seconds the tenth matters. */
function formatSeconds(seconds: number): string {
  return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)}s`;
}

/** One word or a short list; of lists of objects only how many, of objects what is not 0. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) {
    if (value.some((item) => typeof item === 'object')) return String(value.length);
    return value.length === 0 ? '-' : value.join(',');
  }
  if (typeof value !== 'object') return String(value);
  const told = Object.entries(value).filter(([, item]) => item !== 0 && item !== null);
  return told.length === 0 ? '-' : told.map(([key, item]) => `${key}=${formatValue(item)}`).join(' ');
}
