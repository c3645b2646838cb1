#pragma once

namespace margay::agent {

/// Gives back the memory that only the start needed: what is free in the heap, and the pages of
/// program text, which come back one by one, from the page cache, when they are run again. Any
/// thread; costs under a millisecond.
void releaseStartMemory();

/// Gives back what is free in the heap, as after a large list. Any thread; a millisecond for every
/// 10 MB or so of it.
void releaseFreeMemory();

}  // namespace margay::agent
