/** The list of items by age. */
import { expect, test } from 'vitest';
import { type Aged, AgeList } from '../../../src/base/age-list.js';
import { randomOf } from '../../support/random.js';

class Item implements Aged<Item> {
  older: Item | undefined;
  younger: Item | undefined;
  constructor(readonly n: number) {}
}

test('the list gives what an array would give, whatever is put in and taken out (A2)', () => {
  const random = randomOf(7);
  const list = new AgeList<Item>();
  const model: Item[] = [];
  for (let n = 0; n < 2000; n++) {
    if (model.length === 0 || random(2) === 0) {
      const item = new Item(n);
      list.put(item);
      model.push(item);
    } else {
      const [item] = model.splice(random(3) === 0 ? 0 : random(model.length), 1);
      list.take(item!);
      if (random(2) === 0) {
        list.put(item!);
        model.push(item!);
      }
    }
    expect(list.size).toBe(model.length);
    expect(list.oldest).toBe(model[0]);
  }
  while (model.length > 0) {
    expect(list.oldest).toBe(model.shift());
    list.take(list.oldest!);
  }
});
