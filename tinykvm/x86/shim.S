// The only code of ours that runs inside a guest. Copied into every VM's system block (x86/layout.hpp), position
// independent, without data, and the same in all of them.
//
// How a guest is left, and why there are two ways for SYSCALL: real CPUs enter LSTAR at CPL0, KVMs that run
// guest user mode natively without virtualisation hardware enter it at CPL3 (x86/platform.hpp finds out).

#include "tinykvm/x86/shim_ports.h"

        .section .rodata
        .balign 4096

// --- Supervisor code: one page of entries.
        .globl  tinykvm_entries_begin, tinykvm_entries_end, tinykvm_entry_syscall, tinykvm_entry_exceptions
tinykvm_entries_begin:

// SYSCALL at CPL0. RSP is still the user's, so no stack is used. The host finds number and arguments in the
// registers, puts the result into RAX, and the guest goes on behind OUT.
tinykvm_entry_syscall:
        out     %eax, $PORT_SYSCALL
        sysretq

// Exception n at CPL0 on the exception stack. The host reads the frame there and decides; it always continues
// the program with registers of its own, so nothing follows OUT.
        .balign 16
tinykvm_entry_exceptions:
        .set    vector, 0
        .rept   32
        .balign 16
        out     %eax, $(PORT_EXCEPTION + vector)
        ud2
        .set    vector, vector + 1
        .endr
tinykvm_entries_end:

        .balign 4096
// --- User code: one page.
        .hidden tinykvm_shim_begin
        .globl  tinykvm_shim_begin, tinykvm_shim_end, tinykvm_shim_syscall, tinykvm_shim_call, tinykvm_shim_return
tinykvm_shim_begin:

// SYSCALL at CPL3: a store to the doorbell leaves the guest; the host continues at RCX.
tinykvm_shim_syscall:
        movabsl %eax, DOORBELL + DOORBELL_SYSCALL
        ud2

// Where a call into the program begins after a reset: vector registers as in the snapshot, then the function in R11
// with its arguments in place. Cheaper than giving KVM the registers with a system call.
        .balign 16
tinykvm_shim_call:
        movq    %rdx, %r10
        fninit                  // XRSTOR leaves the x87 instruction and data pointers alone on older AMD CPUs
        movl    $-1, %eax
        movl    $-1, %edx
        xrstor64 tinykvm_shim_begin + SHIM_TO_VECTORS(%rip)
        movq    %r10, %rdx
        xorl    %eax, %eax
        xorl    %r10d, %r10d
        jmp     *%r11

// Where a function called by the host returns to: says so, with the function's value in RAX.
        .balign 16
tinykvm_shim_return:
        movabsl %eax, DOORBELL + DOORBELL_RETURN
        ud2
tinykvm_shim_end:

        .section .note.GNU-stack, "", @progbits
