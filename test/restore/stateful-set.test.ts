import { describe, expect, test } from 'vitest';
import type { Recipe } from '../../src/manifest/recipe.ts';
import { type LiveSet, mayBeOfSet, membersOfSet, type SetCandidate } from '../../src/restore/stateful-set.ts';
import { recipeOf } from './cluster-facts.ts';

function candidate(claim: string, pod?: string, set?: string, kind = 'StatefulSet'): SetCandidate {
  const owner = set === undefined ? null : { kind, name: set };
  const consumers = pod === undefined ? [] : [{ pod, node: null, owner, ordinal: null }];
  return { claim, recipe: { ...recipeOf(), consumers } satisfies Recipe };
}

describe('the claims of a set (R8.1)', () => {
  test.each([
    ['data-db-0', 'db', true],
    ['data-my-db-0', 'my-db', true],
    ['data-db-0', 'b', false],
    ['-db-0', 'db', false],
    ['data-db-', 'db', false],
    ['data-db-0a', 'db', false],
    ['data-db-2026112203', 'db', false],
    ['db-0', 'db', false],
  ])('%s of %s: %s', (claim, set, expected) => {
    expect(mayBeOfSet(claim, set)).toBe(expected);
  });

  const none: LiveSet | null = null;
  const live = (templates: string[], replicas: number, start = 0): LiveSet => ({ templates, replicas, start });

  test.each<[string, string, SetCandidate[], LiveSet | null, string[], string[]]>([
    [
      'are those of its template, by ordinal and not by letter',
      'db',
      [candidate('data-db-10', 'db-10', 'db'), candidate('data-db-2', 'db-2', 'db')],
      live(['data'], 3, 2),
      ['data-db-2', 'data-db-10'],
      ['data-db-3', 'data-db-4', 'data-db-5', 'data-db-6', 'data-db-7', 'data-db-8', 'data-db-9'],
    ],
    [
      'are not those of a set whose name ends alike',
      'db',
      [candidate('data-db-0', 'db-0', 'db'), candidate('data-my-db-0', 'my-db-0', 'my-db')],
      none,
      ['data-db-0'],
      [],
    ],
    [
      'are not those of a template that the set does not have, where no pod was recorded',
      'db',
      [candidate('data-db-0'), candidate('data-my-db-0')],
      live(['data'], 1),
      ['data-db-0'],
      [],
    ],
    [
      'lack an ordinal in the middle',
      'db',
      [candidate('data-db-0', 'db-0', 'db'), candidate('data-db-2', 'db-2', 'db')],
      none,
      ['data-db-0', 'data-db-2'],
      ['data-db-1'],
    ],
    ['lack the first one', 'db', [candidate('data-db-1', 'db-1', 'db')], none, ['data-db-1'], ['data-db-0']],
    [
      'lack nothing where the set starts later',
      'db',
      [candidate('data-db-5', 'db-5', 'db')],
      live(['data'], 1, 5),
      ['data-db-5'],
      [],
    ],
    [
      'lack those that the set in the cluster has beyond',
      'db',
      [candidate('data-db-0', 'db-0', 'db')],
      live(['data'], 2),
      ['data-db-0'],
      ['data-db-1'],
    ],
    [
      'of a set scaled to nothing are all that were backed up',
      'db',
      [candidate('data-db-0'), candidate('data-db-1')],
      live(['data'], 0),
      ['data-db-0', 'data-db-1'],
      [],
    ],
    [
      'lack one of two templates',
      'db',
      [
        candidate('data-db-0', 'db-0', 'db'),
        candidate('logs-db-0', 'db-0', 'db'),
        candidate('data-db-1', 'db-1', 'db'),
      ],
      none,
      ['data-db-0', 'logs-db-0', 'data-db-1'],
      ['logs-db-1'],
    ],
    [
      "of Strimzi's brokers may begin anywhere and have gaps, but no pod lacks a claim",
      'kafka-broker',
      [
        candidate('data-0-kafka-broker-3', 'kafka-broker-3', 'kafka-broker', 'StrimziPodSet'),
        candidate('data-1-kafka-broker-3', 'kafka-broker-3', 'kafka-broker', 'StrimziPodSet'),
        candidate('data-0-kafka-broker-7', 'kafka-broker-7', 'kafka-broker', 'StrimziPodSet'),
      ],
      none,
      ['data-0-kafka-broker-3', 'data-1-kafka-broker-3', 'data-0-kafka-broker-7'],
      ['data-1-kafka-broker-7'],
    ],
    [
      'keep a claim that also a Job reads',
      'db',
      [
        {
          claim: 'data-db-0',
          recipe: {
            ...recipeOf(),
            consumers: [
              { pod: 'report-x7', node: null, owner: { kind: 'Job', name: 'report' }, ordinal: null },
              { pod: 'db-0', node: null, owner: { kind: 'StatefulSet', name: 'db' }, ordinal: 0 },
            ],
          },
        },
      ],
      none,
      ['data-db-0'],
      [],
    ],
    ['keep one whose recipe cannot be read', 'db', [{ claim: 'data-db-0', recipe: null }], none, ['data-db-0'], []],
  ])('%s', (_, set, candidates, liveSet, members, missing) => {
    expect(membersOfSet(set, candidates, liveSet)).toEqual({ members, missing });
  });
});
