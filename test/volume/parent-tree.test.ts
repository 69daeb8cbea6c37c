import { describe, expect, it } from 'vitest';
import { everyContentId, findNode, objectEnd, sameHead } from '../../src/volume/parent-tree.ts';

const a = `{"name":"a","type":"file","mode":420,"content":["${'1'.repeat(64)}","${'2'.repeat(64)}"]}`;
const tricky = `{"name":"b","type":"file","extended_attributes":[{"name":"a","value":""},{"name":"c","type":"x"}],"user":"}],{\\"name\\":\\"c\\",\\"type\\":\\"","content":[]}`;
const c = '{"name":"c","type":"dir","content":null,"subtree":"x"}';
const tree = Buffer.from(`{"nodes":[${a},${tricky},${c}]}\n`);

describe('looking into the bytes of a parent tree', () => {
  it('finds nodes by name and knows where they end', () => {
    const start = findNode(tree, '"b"', 0);
    expect(tree.toString('utf8', start, objectEnd(tree, start))).toBe(tricky);
    expect(findNode(tree, '"missing"', 0)).toBe(-1);
  });

  it('is not taken in by text inside of strings', () => {
    const text = Buffer.from(
      `{"nodes":[{"name":"x","type":"file","user":"{\\"name\\":\\"c\\",\\"type\\":\\"","content":null}]}`,
    );
    expect(findNode(text, '"c"', 0)).toBe(-1);
  });

  it('tells a tree that is cut off', () => {
    expect(objectEnd(tree.subarray(0, 50), 10)).toBe(-1);
  });

  it('takes a node for unchanged only when every byte of its head is the same', () => {
    const start = findNode(tree, '"a"', 0);
    const head = Buffer.from('{"name":"a","type":"file","mode":420,"content":');
    expect(sameHead(tree, start, head, head.length)).toBe(start + a.length);
    const other = Buffer.from('{"name":"a","type":"file","mode":421,"content":');
    expect(sameHead(tree, start, other, other.length)).toBe(-1);
  });

  it('visits each content id and stops at a form that it does not know', () => {
    const start = findNode(tree, '"a"', 0);
    const from = start + '{"name":"a","type":"file","mode":420,"content":'.length;
    const seen: string[] = [];
    const visit = (at: number) => seen.push(tree.toString('latin1', at, at + 64)) > 0;
    expect(everyContentId(tree, from, start + a.length, visit)).toBe(true);
    expect(seen).toEqual(['1'.repeat(64), '2'.repeat(64)]);
    const short = Buffer.from('["abc"]');
    expect(everyContentId(short, 0, short.length, () => true)).toBe(false);
  });
});
