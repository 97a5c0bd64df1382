/** What `mgmctl show static` shows, row by row. */
import { expect, test } from 'vitest';
import { staticViews } from '../../../src/daemon/views/static-views.js';
import type { StaticModule } from '../../../src/static/module.js';

test('rows of static routes and inputs are made one at a time, when they are asked for (A4)', async () => {
  let made = 0;
  function* rows() {
    for (; made < 50_000; ) yield { n: ++made };
  }
  const one = { eachRoute: rows, eachInput: rows } as unknown as StaticModule;
  for (const [, view] of staticViews([one, one])) {
    made = 0;
    const iterator = (await view.rows())[Symbol.iterator]();
    expect(made).toBe(0);
    expect(iterator.next().value).toEqual({ n: 1 });
    expect(made).toBe(1);
  }
});
