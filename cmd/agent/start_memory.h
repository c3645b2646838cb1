#pragma once

namespace margay::agent {

/// Gives back the memory that only the start, or a large list, needed: what is free in the heap,
/// and the pages of program text, which come back one by one, from the page cache, when they are
/// run again. Any thread; costs under a millisecond.
void releaseStartMemory();

}  // namespace margay::agent
