# Rules: kernels/NAME.cu to NAME.ptx, cubins, and manifest.json.

# A file NAME_sm90.cu uses what only sm_90a has. The others run on everything from sm_80 on.
set(GENERAL_CUBINS sm_80 sm_90)
set(HOPPER_CUBINS sm_90a)

# Contraction is off, so that what is written is what is computed; a kernel that means fma says so.
set(NVCC_FLAGS -std=c++17 -fmad=false --ftz=false --prec-div=true --prec-sqrt=true -lineinfo -Werror all-warnings)

function(compile_kernels nvcc root output)
  cmake_path(GET nvcc PARENT_PATH tools)
  cmake_path(NORMAL_PATH root)
  string(REGEX REPLACE "/$" "" root "${root}")
  file(GLOB sources CONFIGURE_DEPENDS "${root}/kernels/*.cu")
  set(records "")
  foreach(source IN LISTS sources)
    compile_kernel_file("${source}" record)
    list(APPEND records "${record}")
  endforeach()
  set(manifest "${output}/manifest.json")
  add_custom_command(
    OUTPUT "${manifest}"
    COMMAND ${CMAKE_COMMAND} "-DRECORDS=${records}" "-DCOMPILER=nvcc ${NVCC_VERSION}" "-DOUTPUT=${output}" -P
            "${CMAKE_CURRENT_SOURCE_DIR}/manifest.cmake"
    DEPENDS ${records} "${CMAKE_CURRENT_SOURCE_DIR}/manifest.cmake"
    COMMENT "Manifest of kernels"
    VERBATIM)
  add_custom_target(kernels ALL DEPENDS "${manifest}")
endfunction()

# Reads nvcc, tools, root and output of its caller.
function(compile_kernel_file source record)
  cmake_path(GET source STEM name)
  if(name MATCHES "_sm90$")
    set(target compute_90a)
    set(cubins ${HOPPER_CUBINS})
  else()
    set(target compute_80)
    set(cubins ${GENERAL_CUBINS})
  endif()
  set(raw "${CMAKE_BINARY_DIR}/${name}.raw.ptx")
  set(result "${CMAKE_BINARY_DIR}/${name}.json")
  list(TRANSFORM cubins PREPEND "${output}/${name}." OUTPUT_VARIABLE files)
  list(TRANSFORM files APPEND ".cubin")
  add_custom_command(
    OUTPUT "${raw}"
    COMMAND "${nvcc}" ${NVCC_FLAGS} -arch=${target} -ptx -MD -MF "${raw}.d" "${source}" -o "${raw}"
    DEPENDS "${source}" "${nvcc}"
    DEPFILE "${raw}.d"
    COMMENT "nvcc ${name}.cu"
    VERBATIM)
  add_custom_command(
    OUTPUT "${result}" "${output}/${name}.ptx" ${files}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DTARGET=${target} "-DCUBINS=${cubins}" "-DRAW=${raw}" "-DROOT=${root}"
            "-DTOOLS=${tools}" "-DOUTPUT=${output}" "-DRECORD=${result}" -P "${CMAKE_CURRENT_SOURCE_DIR}/assemble.cmake"
    DEPENDS "${raw}" "${CMAKE_CURRENT_SOURCE_DIR}/assemble.cmake"
    COMMENT "ptxas ${name}.ptx"
    VERBATIM)
  set(${record} "${result}" PARENT_SCOPE)
endfunction()
