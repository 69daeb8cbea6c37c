// `node cmd/holdfast.ts` is the same program as `npx holdfast`.
require('./holdfast.js');
