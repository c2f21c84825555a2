# Finds an nvcc that compiles for sm_90a, CUDA 12.0 or later.

include(wheels.cmake)

# Sets `result` to the path, or `reason` to why there is none.
function(find_nvcc result reason)
  if(QUENCH_NVCC STREQUAL wheels)
    fetch_wheels()
    set(nvcc "${WHEELS_NVCC}")
  elseif(NOT QUENCH_NVCC STREQUAL auto)
    set(nvcc "${QUENCH_NVCC}")
  else()
    find_program(found nvcc HINTS "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin" /usr/local/cuda/bin NO_CACHE)
    if(found)
      set(nvcc "${found}")
    else()
      set(nvcc "${WHEELS_NVCC}")
    endif()
  endif()

  if(NOT EXISTS "${nvcc}")
    set(${reason}
        "no nvcc on PATH, in CUDA_HOME or in ${WHEELS_FOLDER}; -Dquench.nvcc=wheels fetches one (100 MB)"
        PARENT_SCOPE)
    return()
  endif()
  find_program(host NAMES g++ c++ clang++ NO_CACHE)
  if(NOT host)
    set(${reason} "nvcc needs a C++ compiler (g++), and there is none on PATH" PARENT_SCOPE)
    return()
  endif()
  execute_process(
    COMMAND "${nvcc}" --version
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output
    RESULT_VARIABLE status)
  if(NOT status EQUAL 0 OR NOT output MATCHES "release ([0-9]+\\.[0-9]+), V([0-9.]+)")
    set(${reason} "${nvcc} --version failed: ${output}" PARENT_SCOPE)
    return()
  endif()
  if(CMAKE_MATCH_1 VERSION_LESS 12.0)
    set(${reason} "${nvcc} is of CUDA ${CMAKE_MATCH_1}; kernels for Hopper need 12.0 or later" PARENT_SCOPE)
    return()
  endif()
  set(${result} "${nvcc}" PARENT_SCOPE)
  set(NVCC_VERSION "${CMAKE_MATCH_2}" PARENT_SCOPE)
endfunction()
