/**
 * Numbers of Linux's headers, the same on every machine whose calls are made. One that a single module uses stands there.
 */

export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const AT_FDCWD = -100;
export const SOL_SOCKET = 1;
export const IPPROTO_TCP = 6;
export const TCP_USER_TIMEOUT = 18;
