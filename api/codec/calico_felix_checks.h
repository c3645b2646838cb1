#pragma once

#include "api/codec/json_reader.h"

namespace margay::api {

/// Reports fields of a FelixConfiguration's spec whose values Calico refuses. Fields it does not
/// know are fine: releases differ, and the resolver of parameters ignores names that it does not
/// know.
void checkFelixConfiguration(const JsonReader& spec);

}  // namespace margay::api
