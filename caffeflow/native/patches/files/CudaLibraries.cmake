# Where cuBLAS, cuRAND and cuDNN lie, if not in CUDA's own folder. Included once
# CUDA is found.
#
# CUDNN_DIR or CUDNN_ROOT, as a -D option or in the environment, names a prefix
# with include/ and lib/ or lib64/, or the folder into which pip put the wheels
# nvidia-cudnn-cu13, nvidia-cublas and nvidia-curand (or nvidia/cudnn in it).
# Wheels hold versioned libraries only, such as libcudnn.so.9, and each wheel
# has a prefix of its own below nvidia/.

set(CUDNN_DIR  "" CACHE PATH "A prefix with cuDNN, or the folder of the pip wheels")
set(CUDNN_ROOT "" CACHE PATH "The same as CUDNN_DIR")
mark_as_advanced(CUDNN_DIR CUDNN_ROOT)

# caffe_cuda_prefixes(<out>): the prefixes that these folders stand for.
function(caffe_cuda_prefixes out_variable)
  set(prefixes "")
  foreach(given ${CUDNN_DIR} $ENV{CUDNN_DIR} ${CUDNN_ROOT} $ENV{CUDNN_ROOT})
    get_filename_component(given "${given}" ABSOLUTE)
    get_filename_component(parent "${given}" PATH)
    set(patterns "${given}/nvidia/*/include" "${given}/*/include")
    if(parent MATCHES "/nvidia$")
      list(APPEND patterns "${parent}/*/include")
    endif()
    file(GLOB includes ${patterns})
    list(APPEND prefixes "${given}")
    foreach(include ${includes})
      get_filename_component(prefix "${include}" PATH)
      list(APPEND prefixes "${prefix}")
    endforeach()
  endforeach()
  set(${out_variable} ${prefixes} PARENT_SCOPE)
endfunction()

# caffe_find_cuda_library(<variable> <name>): the library, a versioned one too.
function(caffe_find_cuda_library variable name)
  set(versioned "")
  foreach(version RANGE 4 30)
    set(versioned "lib${name}.so.${version}" ${versioned})
  endforeach()
  caffe_cuda_prefixes(prefixes)
  get_filename_component(cudart_folder "${CUDA_CUDART_LIBRARY}" PATH)
  find_library(${variable} NAMES ${name} ${versioned} NAMES_PER_DIR
               HINTS ${prefixes}
               PATHS "${CUDA_TOOLKIT_ROOT_DIR}" "${cudart_folder}"
               PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib
               DOC "Path to the ${name} library.")
endfunction()

# caffe_find_cuda_include(<variable> <header>): the folder that has the header.
function(caffe_find_cuda_include variable header)
  caffe_cuda_prefixes(prefixes)
  find_path(${variable} ${header}
            HINTS ${prefixes}
            PATHS ${CUDA_TOOLKIT_INCLUDE}
            PATH_SUFFIXES include
            DOC "Path to the folder with ${header}.")
  mark_as_advanced(${variable})
endfunction()

# detect_cuDNN(): sets HAVE_CUDNN, CUDNN_FOUND and CUDNN_VERSION of the caller,
# and CUDNN_INCLUDE and CUDNN_LIBRARY for all.
function(detect_cuDNN)
  caffe_find_cuda_include(CUDNN_INCLUDE cudnn.h)
  caffe_find_cuda_library(CUDNN_LIBRARY cudnn)
  mark_as_advanced(CUDNN_LIBRARY)
  if(NOT CUDNN_INCLUDE OR NOT CUDNN_LIBRARY)
    caffe_cuda_prefixes(prefixes)
    set(found "cudnn.h: ${CUDNN_INCLUDE}, library: ${CUDNN_LIBRARY}")
    if(prefixes)
      message(FATAL_ERROR "No cuDNN in ${prefixes} (${found})")
    endif()
    message(WARNING "Building without cuDNN, as none was found (${found}). "
                    "Name its folder with -DCUDNN_DIR=, or give -DUSE_CUDNN=OFF.")
    return()
  endif()

  # Since cuDNN 8 the version stands in a header of its own.
  if(EXISTS "${CUDNN_INCLUDE}/cudnn_version.h")
    file(READ "${CUDNN_INCLUDE}/cudnn_version.h" header)
  else()
    file(READ "${CUDNN_INCLUDE}/cudnn.h" header)
  endif()
  set(numbers "")
  foreach(part MAJOR MINOR PATCHLEVEL)
    if(header MATCHES "define[ \t]+CUDNN_${part}[ \t]+([0-9]+)")
      list(APPEND numbers ${CMAKE_MATCH_1})
    endif()
  endforeach()
  string(REPLACE ";" "." version "${numbers}")
  message(STATUS "Found cuDNN: ver. ${version} found (include: ${CUDNN_INCLUDE}, library: ${CUDNN_LIBRARY})")
  if(version VERSION_LESS "3")
    message(FATAL_ERROR "cuDNN ${version} in ${CUDNN_INCLUDE}: version 3 or later is required.")
  endif()

  set(HAVE_CUDNN    TRUE         PARENT_SCOPE)
  set(CUDNN_FOUND   TRUE         PARENT_SCOPE)
  set(CUDNN_VERSION "${version}" PARENT_SCOPE)
endfunction()

foreach(name cublas curand)
  caffe_find_cuda_library(CUDA_${name}_LIBRARY ${name})
  if(NOT CUDA_${name}_LIBRARY)
    message(FATAL_ERROR "CUDA's ${name} library was not found. Install it, or name "
                        "the folder of the pip wheels with -DCUDNN_DIR=.")
  endif()
endforeach()
if(NOT CUDA_CUBLAS_LIBRARIES)
  set(CUDA_CUBLAS_LIBRARIES ${CUDA_cublas_LIBRARY})
endif()
caffe_find_cuda_include(CUDA_cublas_INCLUDE cublas_v2.h)
caffe_find_cuda_include(CUDA_curand_INCLUDE curand.h)
foreach(name cublas curand)
  if(NOT CUDA_${name}_INCLUDE)
    message(FATAL_ERROR "The header of CUDA's ${name} was not found. Install it, or name "
                        "the folder of the pip wheels with -DCUDNN_DIR=.")
  endif()
  list(APPEND CUDA_INCLUDE_DIRS "${CUDA_${name}_INCLUDE}")
endforeach()
list(REMOVE_DUPLICATES CUDA_INCLUDE_DIRS)
