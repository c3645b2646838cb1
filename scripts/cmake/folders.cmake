# margay_folder(NAME LINKS ... PRIVATE ... EXCEPT ...): the library margay_NAME of all sources below NAME/, but
# for those of the folders below it that are libraries of their own. A '/' in NAME is '_' in the target.
# Include paths start at the top of the repository, so an include says which folder it crosses into.
function(margay_folder name)
  cmake_parse_arguments(arg "" "" "LINKS;PRIVATE;EXCEPT" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.cpp)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.h)
  foreach(folder ${arg_EXCEPT})
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/${folder}/")
    list(FILTER headers EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/${folder}/")
  endforeach()
  string(REPLACE "/" "_" target margay_${name})
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} PUBLIC ${arg_LINKS} Threads::Threads PRIVATE ${arg_PRIVATE} margay_flags)
    target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${headers})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target} INTERFACE ${arg_LINKS} Threads::Threads)
  endif()
endfunction()

# margay_unity(TARGET ...): compiles MARGAY_UNITY sources of each target as one, so that what they include is read and
# instantiated once. It halves the processor time of a build; release and tidy compile each source alone.
function(margay_unity)
  if(MARGAY_UNITY GREATER 1)
    set_target_properties(${ARGV} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${MARGAY_UNITY})
  endif()
endfunction()
