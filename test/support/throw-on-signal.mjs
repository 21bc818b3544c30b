// Loaded before the program: at SIGUSR2 something fails that nobody expected, of the kind that THROW_KIND names.
import net from 'node:net';

const kinds = {
  defect: () => {
    throw new TypeError('a defect\nof two lines');
  },
  rejection: () => void Promise.reject(new TypeError('a rejection')),
  // Nobody listens for what the system says of it.
  system: () => void net.connect({ path: '/nowhere/at/all' }),
};
process.on('SIGUSR2', () => kinds[process.env.THROW_KIND]());
