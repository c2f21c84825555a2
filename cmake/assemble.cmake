# One file's PTX as the jar gets it, its cubins, and a record of both. Fails if a kernel spills
# registers, uses local memory, or makes ptxas serialize its wgmma instructions.
#
#   NAME, TARGET, CUBINS (architectures), RAW (nvcc's PTX), ROOT (of the sources), TOOLS (folder of
#   ptxas), OUTPUT (folder), RECORD (file)

cmake_minimum_required(VERSION 3.25)

set(PTXAS_FLAGS --verbose --generate-line-info --warn-on-spills --warn-on-local-memory-usage --warning-as-error)

function(assemble ptx architecture cubin result messages)
  execute_process(
    COMMAND "${TOOLS}/ptxas" ${PTXAS_FLAGS} -arch=${architecture} "${ptx}" -o "${cubin}"
    RESULT_VARIABLE status
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  set(${result} "${status}" PARENT_SCOPE)
  set(${messages} "${output}" PARENT_SCOPE)
endfunction()

file(READ "${RAW}" text)
# Names of sources without the folders of this machine.
string(REPLACE "${ROOT}/" "" text "${text}")
cmake_path(SET toolkit NORMALIZE "${TOOLS}/..")
string(REGEX REPLACE "(\t\\.file\t[0-9]+ \")[^\"]*/include/" "\\1" text "${text}")

# A hint, new in PTX 8.3, of which bytes of a load are used; a load means the same without it.
string(REGEX REPLACE "[ \t]*\\.pragma \"used_bytes_mask[^\n]*\n" "" text "${text}")

# nvcc writes its own PTX version, which older drivers refuse; the lowest that ptxas takes for this
# text will do: 8.0 is of CUDA 12.0, 8.6 of 12.7.
string(REGEX MATCH "\\.version ([0-9.]+)" ignored "${text}")
set(version "${CMAKE_MATCH_1}")
file(MAKE_DIRECTORY "${OUTPUT}")
set(ptx "${OUTPUT}/${NAME}.ptx")
list(GET CUBINS 0 first)
set(failures "")
foreach(lower 8.0 8.6 ${version})
  if(lower VERSION_GREATER version)
    continue()
  endif()
  string(REGEX REPLACE "\\.version [0-9.]+" ".version ${lower}" lowered "${text}")
  file(WRITE "${ptx}" "${lowered}")
  assemble("${ptx}" ${first} "${OUTPUT}/${NAME}.${first}.cubin" status messages)
  if(status EQUAL 0)
    set(version ${lower})
    break()
  endif()
endforeach()
if(NOT status EQUAL 0)
  file(REMOVE "${ptx}")
  message(FATAL_ERROR "ptxas refuses ${NAME}.cu for ${first}:\n${messages}")
endif()

set(cubins "[]")
set(i 0)
foreach(architecture IN LISTS CUBINS)
  set(cubin "${NAME}.${architecture}.cubin")
  assemble("${ptx}" ${architecture} "${OUTPUT}/${cubin}" status messages)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "ptxas refuses ${NAME}.cu for ${architecture}:\n${messages}")
  endif()
  if(messages MATCHES "C75[0-9][0-9]|is injected|serialized")
    message(FATAL_ERROR "ptxas serializes wgmma in ${NAME}.cu:\n${messages}")
  endif()
  file(SHA256 "${OUTPUT}/${cubin}" hash)
  string(JSON cubins SET "${cubins}" ${i}
         "{\"file\": \"${cubin}\", \"architecture\": \"${architecture}\", \"sha256\": \"${hash}\"}")
  math(EXPR i "${i} + 1")
endforeach()

# What ptxas said of each kernel on the last architecture.
set(kernels "[]")
set(i 0)
string(REGEX MATCHALL "Compiling entry function '[^']+'" entries "${messages}")
foreach(entry IN LISTS entries)
  string(REGEX REPLACE ".*'(.*)'" "\\1" kernel "${entry}")
  string(FIND "${messages}" "${entry}" at)
  string(SUBSTRING "${messages}" ${at} -1 said)
  set(counts "")
  foreach(pattern "Used ([0-9]+) registers" "([0-9]+) bytes spill stores" "([0-9]+) bytes stack frame")
    string(REGEX MATCH "${pattern}" ignored "${said}")
    list(APPEND counts "${CMAKE_MATCH_1}")
  endforeach()
  list(GET counts 0 registers)
  list(GET counts 1 spills)
  list(GET counts 2 stack)
  # Only said of kernels that have some.
  string(REGEX MATCH "Used [^\n]*" used "${said}")
  set(shared 0)
  if(used MATCHES "([0-9]+) bytes smem")
    set(shared ${CMAKE_MATCH_1})
  endif()
  string(JSON kernels SET "${kernels}" ${i}
         "{\"name\": \"${kernel}\", \"registers\": ${registers}, \"shared\": ${shared}, \"spills\": ${spills}, \"stack\": ${stack}}")
  math(EXPR i "${i} + 1")
endforeach()

file(SHA256 "${ptx}" hash)
string(REGEX REPLACE "compute_" "sm_" target "${TARGET}")
set(record "{}")
string(JSON record SET "${record}" file "\"${NAME}.ptx\"")
string(JSON record SET "${record}" target "\"${target}\"")
string(JSON record SET "${record}" ptx "\"${version}\"")
string(JSON record SET "${record}" sha256 "\"${hash}\"")
string(JSON record SET "${record}" cubins "${cubins}")
string(JSON record SET "${record}" kernels "${kernels}")
file(WRITE "${RECORD}" "${record}\n")
