/** Chance as pure code sees it. */
export interface Random {
  /** At least 0, below 1. */
  next(): number;
}
