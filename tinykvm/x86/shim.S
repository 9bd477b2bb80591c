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
// registers, puts the result into RAX, and the guest goes on after OUT.
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
        .globl  tinykvm_shim_wait, tinykvm_shim_wait_restored, tinykvm_shim_host_call_end
tinykvm_shim_begin:

// Vector registers as in the snapshot; RAX and RDX are lost.
        .macro  restore_vectors
        fninit                  // XRSTOR leaves the x87 instruction and data pointers alone on older AMD CPUs
        movl    $-1, %eax
        movl    $-1, %edx
        xrstor64 tinykvm_shim_begin + SHIM_TO_VECTORS(%rip)
        .endm

// SYSCALL at CPL3: a store to the doorbell leaves the guest; the host continues at RCX.
tinykvm_shim_syscall:
        movabsl %eax, DOORBELL + DOORBELL_SYSCALL
        ud2

// Where a call into the program begins after a reset: vector registers as in the snapshot, then the function in R11
// with its arguments in place. Cheaper than giving KVM the registers with a system call.
        .balign 16
tinykvm_shim_call:
        movq    %rdx, %r10
        restore_vectors
        movq    %r10, %rdx
        xorl    %eax, %eax
        xorl    %r10d, %r10d
        jmp     *%r11

// Where a function called by the host returns to: a host call that says so, with the function's values.
        .balign 16
tinykvm_shim_return:
        movq    %rax, %rdi
        movq    %rdx, %rsi
        movl    $HOST_CALL_RETURNED, %eax
        jmp     .Lhost_call

// Where a fork waits for a call without leaving the guest. It loads the vector registers, and then looks into the
// mailbox until there is a call, or the result of the host call that the guest stands in, or its time to wait is over.
// It changes RAX, RDX and R10 meanwhile.
        .balign 16
tinykvm_shim_wait_restored:
        restore_vectors
tinykvm_shim_wait:
        movabsq $MAILBOX, %r10
1:      movl    MAILBOX_PHASE(%r10), %eax
        cmpl    $MAILBOX_CALL, %eax
        je      .Lcall
        cmpl    $MAILBOX_REPLY, %eax
        je      .Lreply
        cmpl    $MAILBOX_LEAVE, %eax
        je      .Lleave
        pause
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        cmpq    MAILBOX_WAIT_UNTIL(%r10), %rax
        jb      1b
        movl    $MAILBOX_WAITING, %eax
        movl    $MAILBOX_ASLEEP, %edx
        lock cmpxchgl %edx, MAILBOX_PHASE(%r10)
        jne     1b                      // a call came after all
.Lleave:
        movabsl %eax, DOORBELL + DOORBELL_LEAVE
        ud2
.Lcall:
        movl    $MAILBOX_RUNNING, MAILBOX_PHASE(%r10)
        movq    MAILBOX_TARGET(%r10), %r11
        movq    MAILBOX_STACK(%r10), %rsp
        movq    MAILBOX_ARGUMENTS(%r10), %rdi
        movq    MAILBOX_ARGUMENTS + 8(%r10), %rsi
        movq    MAILBOX_ARGUMENTS + 16(%r10), %rdx
        movq    MAILBOX_ARGUMENTS + 24(%r10), %rcx
        movq    MAILBOX_ARGUMENTS + 32(%r10), %r8
        movq    MAILBOX_ARGUMENTS + 40(%r10), %r9
        xorl    %eax, %eax
        xorl    %r10d, %r10d
        jmp     *%r11

// How programs call the host: number in EAX, arguments in RDI, RSI, RDX, RCX, R8, R9, the address to go on at in R11;
// the value comes back in RAX, a second one in RDX, R10 and R11 are lost, no stack is used. While the host listens, it
// gets the call through the mailbox. When it does not, or stops listening before it has taken the call, the call is a
// store to the doorbell.
        .org    tinykvm_shim_begin + SHIM_HOST_CALL
.Lhost_call:
        movabsq $MAILBOX, %r10
        cmpl    $0, MAILBOX_LISTENING(%r10)
        je      .Lring
        movq    %rax, MAILBOX_TARGET(%r10)
        movq    %rdi, MAILBOX_ARGUMENTS(%r10)
        movq    %rsi, MAILBOX_ARGUMENTS + 8(%r10)
        movq    %rdx, MAILBOX_ARGUMENTS + 16(%r10)
        movq    %rcx, MAILBOX_ARGUMENTS + 24(%r10)
        movq    %r8, MAILBOX_ARGUMENTS + 32(%r10)
        movq    %r9, MAILBOX_ARGUMENTS + 40(%r10)
        movq    %r11, MAILBOX_LINK(%r10)
        movl    $MAILBOX_POSTED, %eax
        xchgl   %eax, MAILBOX_PHASE(%r10)
2:      movl    MAILBOX_PHASE(%r10), %eax
        cmpl    $MAILBOX_REPLY, %eax
        je      .Lreply
        cmpl    $MAILBOX_LEAVE, %eax
        je      .Ltake_back
        cmpl    $MAILBOX_WAITING, %eax
        je      tinykvm_shim_wait
        cmpl    $MAILBOX_CALL, %eax
        je      .Lcall
        pause
        cmpl    $MAILBOX_POSTED, %eax
        jne     2b
        cmpl    $0, MAILBOX_LISTENING(%r10)
        jne     2b
        xorl    %r11d, %r11d            // MAILBOX_RUNNING
        lock cmpxchgl %r11d, MAILBOX_PHASE(%r10)
        jne     2b                      // it has been taken
.Ltake_back:
        movq    MAILBOX_TARGET(%r10), %rax
        movq    MAILBOX_LINK(%r10), %r11
.Lring:
        movabsl %eax, DOORBELL + DOORBELL_HOST_CALL
tinykvm_shim_host_call_end:
        jmp     *%r11
.Lreply:
        movl    $MAILBOX_RUNNING, MAILBOX_PHASE(%r10)
        movq    MAILBOX_RESULT(%r10), %rax
        movq    MAILBOX_ARGUMENTS + 16(%r10), %rdx
        movq    MAILBOX_LINK(%r10), %r11
        jmp     *%r11
tinykvm_shim_end:

        .section .note.GNU-stack, "", @progbits
