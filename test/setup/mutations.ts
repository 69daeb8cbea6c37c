/** Damage to files, the same for the same seed: bits, lengths, tokens and whole parts of JSON, as decay and malice make it. */

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const tokens = [
  ...[
    'null',
    'true',
    '""',
    '{}',
    '[]',
    '-1',
    '0',
    '1e999',
    '-0',
    '0.5',
    '4294967296',
    '9007199254740993',
    '18446744073709551615',
  ],
  ...[
    '"\\u0000"',
    '"\\ud800"',
    '"\\\\x"',
    '"../../x"',
    '"__proto__"',
    '"0001-01-01T00:00:00Z"',
    '"zz"',
    '"abc"',
    '"=="',
  ],
  ...[
    '{"a":',
    '[[',
    ']]',
    '}',
    ',',
    '"',
    '\\',
    ':',
    '\ufeff',
    '\0',
    '*a',
    '&a [*a,*a]',
    '<<: *x',
    '!!js/function',
    '---\n',
  ],
];
const values: readonly unknown[] = [
  ...[
    null,
    true,
    '',
    {},
    [],
    -1,
    0,
    0.5,
    2 ** 32,
    2 ** 53,
    1e300,
    'abc',
    '\\x',
    '../x',
    ['a'],
    { a: 1 },
    'ff'.repeat(32),
    '0'.repeat(100),
  ],
  [null],
  [[]],
  [{}],
];

export class Mutator {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** The bytes with one to four damages. */
  bytes(original: Uint8Array): Buffer {
    let damaged: Buffer = Buffer.from(original);
    for (let times = 1 + this.below(4); times > 0; times--) damaged = this.#damage(damaged);
    return damaged;
  }

  /** Half of the time damaged as bytes, else with another value somewhere in it. */
  json(original: Uint8Array): Buffer {
    if (this.below(2) === 0) return this.bytes(original);
    return Buffer.from(JSON.stringify(this.#otherValue(JSON.parse(Buffer.from(original).toString()))));
  }

  #damage(bytes: Buffer): Buffer {
    const at = this.below(bytes.length + 1);
    const to = Math.min(bytes.length, at + 1 + this.below(40));
    const [before, part, after] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
    switch (this.below(7)) {
      case 0:
        return before;
      case 1:
        return Buffer.concat([before, after]);
      case 2:
        return Buffer.concat([before, part, part, after]);
      case 3:
        return Buffer.concat([before, Buffer.from(tokens[this.below(tokens.length)] ?? ''), after]);
      case 4:
        return Buffer.concat([before, Buffer.from(part.map(() => this.below(256))), after]);
      case 5:
        return Buffer.concat([
          before,
          Buffer.from(Array.from({ length: this.below(9) }, () => this.below(256))),
          part,
          after,
        ]);
      default: {
        const flipped = Buffer.from(bytes);
        const place = Math.min(at, bytes.length - 1);
        if (place >= 0) flipped[place] = (flipped[place] ?? 0) ^ (1 << this.below(8));
        return flipped;
      }
    }
  }

  #otherValue(value: unknown): unknown {
    if (this.below(6) === 0 || typeof value !== 'object' || value === null) return values[this.below(values.length)];
    if (Array.isArray(value)) {
      const at = this.below(value.length + 1);
      return [...value.slice(0, at), this.#otherValue(value[at]), ...value.slice(at + 1)];
    }
    const names = Object.keys(value);
    const name = names[this.below(names.length)] ?? 'added';
    const { [name]: old, ...others } = value as Record<string, unknown>;
    return this.below(5) === 0 ? others : { ...value, [name]: this.#otherValue(old) };
  }
}
