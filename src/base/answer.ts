/**
 * An answer that is there at once or comes later. In-process protocols answer at once and cost no turn of the
 * event loop; a client behind a socket answers with a promise. Both take the same path through the manager.
 */
export type Answer<T> = T | Promise<T>;

export function isLater<T>(answer: Answer<T>): answer is Promise<T> {
  return answer instanceof Promise;
}

/** Runs `next` with the answer: in the same turn when it is there already, otherwise when it comes. */
export function whenAnswered<T, U>(answer: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  return isLater(answer) ? answer.then(next) : next(answer);
}
