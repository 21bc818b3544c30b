/** What a process has but one of, such as the functions of a library: made when it is first asked for, and not again. */

/** What calls `make` once; what that throws is thrown each time, and made anew the next time. */
export function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
