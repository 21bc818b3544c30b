import { testJoin } from './join.contract.ts';

testJoin(() => ({ kernel: undefined }));
