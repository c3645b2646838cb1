#!/usr/bin/env bash
# The part of scripts/test that runs beside its tests, in the time in which they wait: what has threads under TSan, and
# SECONDS of each fuzz target.
#   scripts/lib/test-beside.sh SECONDS
set -euo pipefail
cd "$(dirname "$0")/../.."

echo "-- build: what has threads, with TSan"
cmake --preset tsan -Wno-dev >/dev/null
cmake --build --preset tsan --target threads_tests -- --quiet
echo "-- TSan: sources, mailbox, servers, loop, metrics"
TSAN_OPTIONS="suppressions=$PWD/tests/tsan.suppressions" build/tsan/bin/threads_tests --gtest_brief=1
echo "-- fuzzing"
scripts/fuzz "$1"
