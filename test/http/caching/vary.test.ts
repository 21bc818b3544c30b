import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSelected, selectBy, selectionKey } from '../../../src/http/caching/vary.ts';

const french = ['Accept-Language', 'fr'];
const zipped = ['Accept-Encoding', 'gzip'];

for (const vary of [
  ['Vary', 'Accept-Language, Accept-Encoding'],
  ['Vary', 'accept-encoding,accept-language'],
  ['Vary', 'Accept-Language', 'Vary', 'Accept-Encoding'],
]) {
  test(`an answer that varies by two fields is for who agrees in both: ${vary.join(' ')}`, () => {
    const selection = selectBy(vary, [...french, ...zipped]);
    assert.deepEqual(selection, [
      ['accept-encoding', 'gzip'],
      ['accept-language', 'fr'],
    ]);
    const asked = (...fields: readonly (readonly string[])[]) => isSelected(selection, fields.flat());
    assert.equal(asked(french, zipped), true);
    assert.equal(asked(zipped, french, ['X-Other', 'a']), true);
    assert.equal(asked(french, ['Accept-Encoding', 'br']), false, 'the one differs');
    assert.equal(asked(['Accept-Language', 'de'], zipped), false, 'the other differs');
    assert.equal(asked(french), false, 'the one is missing');
    assert.equal(asked(zipped), false, 'the other is missing');
    assert.equal(asked(), false);
  });
}

test('two selections are one entry only if they agree in every field, and in which are missing', () => {
  const by = (...fields: readonly (readonly string[])[]) =>
    selectionKey(selectBy(['Vary', 'Accept-Language, Accept-Encoding'], fields.flat()));
  const keys = [by(french, zipped), by(french), by(zipped), by(), by(french, ['Accept-Encoding', 'br'])];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(by(zipped, french), keys[0]);
});
