# What every one of our targets is compiled with. Third-party headers are SYSTEM.
add_library(margay_flags INTERFACE)
target_compile_definitions(margay_flags INTERFACE MARGAY_VERSION="${PROJECT_VERSION}")
target_compile_options(margay_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Wno-missing-field-initializers
  -Werror -fno-omit-frame-pointer)
if(MARGAY_SANITIZE)
  target_compile_options(margay_flags INTERFACE -fsanitize=${MARGAY_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(margay_flags INTERFACE -fsanitize=${MARGAY_SANITIZE})
endif()
# UBSan's checks of each access cost a quarter of the build. The preset `fuzz` has them everywhere, `dev` in targets with
# the property MARGAY_CHECK_ACCESSES, or everywhere with the option of that name.
if(MARGAY_SANITIZE MATCHES undefined AND NOT MARGAY_FUZZ AND NOT MARGAY_CHECK_ACCESSES)
  target_compile_options(margay_flags INTERFACE
    $<$<NOT:$<BOOL:$<TARGET_PROPERTY:MARGAY_CHECK_ACCESSES>>>:-fno-sanitize=null,alignment,vptr>)
endif()
if(MARGAY_COVERAGE)
  target_compile_options(margay_flags INTERFACE --coverage)
  target_link_options(margay_flags INTERFACE --coverage)
endif()
if(MARGAY_FUZZ)
  # clang takes a second equal `using` in an anonymous namespace, as unity builds have it, for a shadowing one.
  target_compile_options(margay_flags INTERFACE -fsanitize=fuzzer-no-link -Wno-shadow)
endif()
if(MARGAY_TIDY)
  find_program(MARGAY_CLANG_TIDY NAMES clang-tidy-14 clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${MARGAY_CLANG_TIDY} --quiet)
endif()
