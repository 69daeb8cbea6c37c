/** Label selectors as kubectl takes them: `tier=data,env!=test,app in (shop, web),!temporary`. Pure. */
import type { ClaimSelector } from './selector.ts';

type Expressions = NonNullable<ClaimSelector['matchExpressions']>;

const key = '[^\\s=!,()]+';
const setForm = new RegExp(`^(${key})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const equalForm = new RegExp(`^(${key})\\s*(==|=|!=)\\s*([^\\s=!,()]*)$`);
const presenceForm = new RegExp(`^(!?)\\s*(${key})$`);

/** All conditions have to hold. Whether keys and values are such of labels, the schema of selectors says. Throws Error. */
export function parseLabelSelector(text: string): Expressions {
  // Commas within brackets are between values.
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim());
  return parts.map(parseCondition);
}

function parseCondition(part: string): Expressions[number] {
  const [, setKey, word, list] = setForm.exec(part) ?? [];
  if (setKey !== undefined) {
    const values = (list ?? '').split(',').map((value) => value.trim());
    return { key: setKey, operator: word === 'in' ? 'In' : 'NotIn', values };
  }
  const [, equalKey, sign, value = ''] = equalForm.exec(part) ?? [];
  if (equalKey !== undefined) return { key: equalKey, operator: sign === '!=' ? 'NotIn' : 'In', values: [value] };
  const [, not, presentKey] = presenceForm.exec(part) ?? [];
  if (presentKey !== undefined) return { key: presentKey, operator: not === '!' ? 'DoesNotExist' : 'Exists' };
  throw new Error(`"${part}" is no condition on labels, as tier=data, tier!=data, tier in (data,logs) or !tier`);
}
