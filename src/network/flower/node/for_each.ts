/** Does something with each item, with several at a time, in their order; after a failure, none is begun. */
export async function forEach<T>(
  items: Iterable<T>,
  atOnce: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items].values();
  let hasFailed = false;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const item of queue) {
      if (hasFailed) return;
      try {
        await act(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  }));
}
