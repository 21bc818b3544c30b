/** First flights, made before they are measured: a file of them for the driver in bench/peers/flights.mjs, each behind its length. */

import { writeFileSync } from 'node:fs';

/** Writes `count` flights; the driver uses them again and again. */
export function writeFlights(file: string, count: number, make: () => Buffer): string {
  const framed = Array.from({ length: count }, make).flatMap((flight) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(flight.length);
    return [length, flight];
  });
  writeFileSync(file, Buffer.concat(framed));
  return file;
}
