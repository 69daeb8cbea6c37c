import { openS3Store } from '../../src/store/s3-store.ts';
import { storeContract } from '../contract/store-contract.ts';
import { describeWith } from '../setup/needs.ts';
import { addObject, newS3Place } from '../setup/s3-place.ts';

describeWith('s3', 'on a real server', () => {
  storeContract({
    name: 'a bucket',
    needsPlace: true,
    open: async () => {
      const place = newS3Place();
      return {
        store: await openS3Store(place),
        again: () => openS3Store(place),
        addStray: (path) => addObject(place, path, 'stray'),
      };
    },
  });
});
