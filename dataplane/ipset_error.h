#pragma once

#include <string>

#include "base/change.h"
#include "base/result.h"
#include "dataplane/model/ipset.h"

namespace margay::dataplane {

/// An error for a number that the kernel's ipset answered (errno, or one of its own from 4096 on):
/// what is wrong and, where a person can help, what to do. `context` names operation and object.
[[nodiscard]] Error ipsetError(int number, const std::string& context);

/// "add 10.0.0.1 to ipset mgy4-x".
[[nodiscard]] std::string changeText(const SetName& set, const Change<SetMember>& change);

/// True for the number with which the kernel refuses a member for lack of room.
[[nodiscard]] bool isFull(int number);
/// Why there is no room for the member: `header` is the set's after the attempt. A set below its
/// limit that is full all the same has 64 members of one prefix, which is as many as the kernel
/// takes.
[[nodiscard]] Error fullError(const SetHeader& header, const Change<SetMember>& change);

}  // namespace margay::dataplane
