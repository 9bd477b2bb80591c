# How guest programs are built. CMake projects get it with `add_subdirectory(guest-api)`, or when tinykvm is installed
# with `find_package(tinykvm-guest)`; guests are ordinary Linux programs, so none of the flags of the host's code
# (sanitizers, -Werror, hidden symbols) reach them.

# Here in the sources the header lies beside this file, installed it is in the include directory. In the cache, so that
# folders beside the one that asks can add guests.
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/kvm_api.h)
    set(TINYKVM_GUEST_INCLUDE ${CMAKE_CURRENT_LIST_DIR} CACHE INTERNAL "")
    set(TINYKVM_GUEST_RUST ${CMAKE_CURRENT_LIST_DIR}/rust CACHE INTERNAL "")
    set(TINYKVM_GUEST_GO ${CMAKE_CURRENT_LIST_DIR}/go CACHE INTERNAL "")
else()
    get_filename_component(TINYKVM_GUEST_PREFIX ${CMAKE_CURRENT_LIST_DIR}/../../.. ABSOLUTE)
    set(TINYKVM_GUEST_INCLUDE ${TINYKVM_GUEST_PREFIX}/include CACHE INTERNAL "")
    set(TINYKVM_GUEST_RUST ${TINYKVM_GUEST_PREFIX}/share/tinykvm/rust CACHE INTERNAL "")
    set(TINYKVM_GUEST_GO ${TINYKVM_GUEST_PREFIX}/share/tinykvm/go CACHE INTERNAL "")
endif()

if(NOT TARGET tinykvm_guest_api)
    add_library(tinykvm_guest_api INTERFACE)
    target_include_directories(tinykvm_guest_api SYSTEM INTERFACE ${TINYKVM_GUEST_INCLUDE})
endif()

find_program(TINYKVM_MUSL_GCC musl-gcc)
set(TINYKVM_GUEST_FLAGS -O2 -g1 -Wall -Wextra -fno-omit-frame-pointer CACHE INTERNAL "")

# tinykvm_add_guest(NAME SOURCE... [CXX] [PIE | DYNAMIC | MUSL] [CXX_STANDARD NUMBER] [DIRECTORY DIR] [LIBS LIB...]
#                   [FLAGS FLAG...])
#
# Builds a guest program into DIR (${CMAKE_BINARY_DIR}/programs unless said) as target guest_NAME:
#   (nothing)  statically linked, at a fixed address
#   PIE        statically linked, position independent
#   DYNAMIC    an ordinary dynamically linked program; its loader and libraries must be in allowed_paths
#   MUSL       C only, static with musl-gcc; when that is missing the target is left out with a message
# CXX links a program as C++ whose own sources are all C. C++ is C++20 or later, as the project asks for; or exactly
# CXX_STANDARD, of which kvm_api.hpp needs 17 at least.
function(tinykvm_add_guest name)
    cmake_parse_arguments(PARSE_ARGV 1 guest "CXX;PIE;DYNAMIC;MUSL" "DIRECTORY;CXX_STANDARD" "LIBS;FLAGS")
    set(sources ${guest_UNPARSED_ARGUMENTS})
    if(NOT guest_DIRECTORY)
        set(guest_DIRECTORY ${CMAKE_BINARY_DIR}/programs)
    endif()

    if(guest_MUSL)
        if(NOT TINYKVM_MUSL_GCC)
            message(WARNING "guest ${name} is not built: there is no musl-gcc (Debian: apt install musl-tools)")
            return()
        endif()
        list(TRANSFORM sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]")
        file(MAKE_DIRECTORY ${guest_DIRECTORY})
        # Behind musl's own headers: where kvm_api.h is installed may be where those of the host's C library are.
        add_custom_command(
            OUTPUT ${guest_DIRECTORY}/${name}
            COMMAND ${TINYKVM_MUSL_GCC} -std=gnu11 -static ${TINYKVM_GUEST_FLAGS} ${guest_FLAGS}
                    -idirafter ${TINYKVM_GUEST_INCLUDE}
                    -o ${guest_DIRECTORY}/${name} ${sources} ${guest_LIBS}
            DEPENDS ${sources} ${TINYKVM_GUEST_INCLUDE}/kvm_api.h
            VERBATIM)
        add_custom_target(guest_${name} ALL DEPENDS ${guest_DIRECTORY}/${name})
        return()
    endif()

    add_executable(guest_${name} ${sources})
    set_target_properties(guest_${name} PROPERTIES OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${guest_DIRECTORY}
                          C_EXTENSIONS ON CXX_EXTENSIONS ON)
    if(guest_CXX)
        set_target_properties(guest_${name} PROPERTIES LINKER_LANGUAGE CXX)
    endif()
    # CMake's own idea of position independence would add -fPIE to a program linked at a fixed address.
    if(guest_PIE OR guest_DYNAMIC)
        set(position -fPIE)
    else()
        set(position -fno-pie)
    endif()
    set_target_properties(guest_${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    if(guest_CXX_STANDARD)
        set_target_properties(guest_${name} PROPERTIES CXX_STANDARD ${guest_CXX_STANDARD} CXX_STANDARD_REQUIRED ON)
    elseif(CMAKE_CXX_COMPILER_LOADED)
        target_compile_features(guest_${name} PRIVATE cxx_std_20)
    endif()
    target_compile_options(guest_${name} PRIVATE ${TINYKVM_GUEST_FLAGS} ${position} ${guest_FLAGS})
    if(guest_PIE)
        target_link_options(guest_${name} PRIVATE -static-pie)
    elseif(guest_DYNAMIC)
        target_link_options(guest_${name} PRIVATE -pie)
    else()
        target_link_options(guest_${name} PRIVATE -static)
    endif()
    target_link_libraries(guest_${name} PRIVATE tinykvm_guest_api ${guest_LIBS})
endfunction()

# tinykvm_add_rust_guest(NAME SOURCE [DIRECTORY DIR])
#
# The same for one file of Rust that uses the crate in rust/, statically linked. Without rustc the target is left out
# with a message. (Larger programs have a Cargo.toml of their own: docs/building-programs.md.)
find_program(TINYKVM_RUSTC rustc)
set(TINYKVM_RUST_FLAGS --edition 2021 -O -C panic=abort CACHE INTERNAL "")
function(tinykvm_add_rust_guest name source)
    cmake_parse_arguments(PARSE_ARGV 2 guest "" "DIRECTORY" "")
    if(NOT guest_DIRECTORY)
        set(guest_DIRECTORY ${CMAKE_BINARY_DIR}/programs)
    endif()
    if(NOT TINYKVM_RUSTC)
        message(WARNING "guest ${name} is not built: there is no rustc (Debian: apt install rustc)")
        return()
    endif()
    get_filename_component(source ${source} ABSOLUTE)
    set(crate ${CMAKE_BINARY_DIR}/rust/libtinykvm.rlib)
    set(crate_source ${TINYKVM_GUEST_RUST}/src/lib.rs)
    if(NOT TARGET guest_rust_crate)
        file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/rust)
        add_custom_command(
            OUTPUT ${crate}
            COMMAND ${TINYKVM_RUSTC} ${TINYKVM_RUST_FLAGS} --crate-type rlib --crate-name tinykvm ${crate_source}
                    -o ${crate}
            DEPENDS ${crate_source}
            VERBATIM)
        add_custom_target(guest_rust_crate DEPENDS ${crate})
    endif()
    file(MAKE_DIRECTORY ${guest_DIRECTORY})
    add_custom_command(
        OUTPUT ${guest_DIRECTORY}/${name}
        COMMAND ${TINYKVM_RUSTC} ${TINYKVM_RUST_FLAGS} -C target-feature=+crt-static -C strip=debuginfo
                --extern tinykvm=${crate} ${source} -o ${guest_DIRECTORY}/${name}
        DEPENDS ${source} ${crate_source} guest_rust_crate
        VERBATIM)
    add_custom_target(guest_${name} ALL DEPENDS ${guest_DIRECTORY}/${name})
endfunction()

# tinykvm_add_go_guest(NAME FOLDER [DIRECTORY DIR] [PACKAGES DIR])
#
# The same for a main package of Go in FOLDER that imports tinykvm/kvm: in the module in go/, or in one of its own
# whose go.mod says where that is. With PACKAGES it may import what is installed in DIR, as Debian's packages of Go are in
# /usr/share/gocode, and its go.mod names none of them. Nothing is fetched. Without go the target is left out with a
# message.
find_program(TINYKVM_GO go)
function(tinykvm_add_go_guest name folder)
    cmake_parse_arguments(PARSE_ARGV 2 guest "" "DIRECTORY;PACKAGES" "")
    if(NOT guest_DIRECTORY)
        set(guest_DIRECTORY ${CMAKE_BINARY_DIR}/programs)
    endif()
    if(NOT TINYKVM_GO)
        message(WARNING "guest ${name} is not built: there is no go (Debian: apt install golang-go)")
        return()
    endif()
    get_filename_component(folder ${folder} ABSOLUTE)
    file(MAKE_DIRECTORY ${guest_DIRECTORY})
    set(environment CGO_ENABLED=0 GOPROXY=off GOFLAGS= GOTOOLCHAIN=local GOCACHE=${CMAKE_BINARY_DIR}/go-cache)
    set(package .)
    if(guest_PACKAGES)
        # As Debian builds its own programs: without modules, by where packages are.
        set(path ${CMAKE_BINARY_DIR}/go-path)
        file(MAKE_DIRECTORY ${path}/src/tinykvm)
        file(CREATE_LINK ${TINYKVM_GUEST_GO} ${path}/src/tinykvm/kvm SYMBOLIC)
        file(CREATE_LINK ${folder} ${path}/src/tinykvm/${name} SYMBOLIC)
        list(APPEND environment GO111MODULE=off GOPATH=${path}:${guest_PACKAGES})
        set(package tinykvm/${name})
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.go ${TINYKVM_GUEST_GO}/*.go ${TINYKVM_GUEST_GO}/*.s)
    add_custom_command(
        OUTPUT ${guest_DIRECTORY}/${name}
        COMMAND ${CMAKE_COMMAND} -E env ${environment}
                ${TINYKVM_GO} build -buildvcs=false -trimpath -ldflags=-compressdwarf=false -o ${guest_DIRECTORY}/${name} ${package}
        WORKING_DIRECTORY ${folder}
        DEPENDS ${sources}
        VERBATIM)
    add_custom_target(guest_${name} ALL DEPENDS ${guest_DIRECTORY}/${name})
endfunction()
