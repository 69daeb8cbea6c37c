/** JSON schemas for other programs, made from the schemas that the program reads by; `npm run docs:schemas` writes them. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { recipeSchema } from '../../src/manifest/recipe.ts';
import { policySchema, repositorySchema } from '../../src/policy/schema.ts';
import { recordSchema } from '../../src/repository/ledger/documents.ts';

const docs = resolve(import.meta.dirname, '../../docs');

/** By the path of the file. What only a function can judge, such as whether a time zone exists, is not in them. */
export function schemaFiles(): Map<string, string> {
  const documents = z.union([repositorySchema, policySchema]);
  return new Map([
    [`${docs}/recipe.schema.json`, asFile('The recipe of a claim (manifest.json of a backup)', recipeSchema)],
    [`${docs}/ledger.schema.json`, asFile('A record of the ledger (record.json below /.holdfast/)', recordSchema)],
    [`${docs}/policy.schema.json`, asFile('A document of a policy file', documents)],
  ]);
}

function asFile(title: string, schema: z.ZodType): string {
  return `${JSON.stringify({ title, ...z.toJSONSchema(schema, { io: 'input' }) }, null, 2)}\n`;
}

if (import.meta.main) for (const [path, text] of schemaFiles()) writeFileSync(path, text);
