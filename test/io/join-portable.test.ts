import { testJoin } from './legs/join.contract.ts';

testJoin(() => ({ kernel: undefined }));
