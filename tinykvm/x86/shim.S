// The only code of ours that runs inside a guest. Copied into every VM's system block (x86/layout.hpp), position
// independent, without data, and the same in all of them.
//
// How a guest is left, and why there are two ways for SYSCALL: real CPUs enter LSTAR at CPL0, KVMs that run
// guest user mode natively without virtualisation hardware enter it at CPL3 (x86/platform.hpp finds out).

#include <asm/errno.h>

#include "tinykvm/x86/shim_ports.h"

// Of futex(), as in linux/futex.h.
#define FUTEX_WAKE 1
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE 128
#define FUTEX_CLOCK_REALTIME 256

        .section .rodata
        .balign 4096

// --- Supervisor code: one page of entries.
        .globl  tinykvm_entries_begin, tinykvm_entries_end, tinykvm_entry_syscall, tinykvm_entry_exceptions
tinykvm_entries_begin:

// SYSCALL at CPL0. RSP is still the user's, so no stack is used. The host finds number and arguments in the
// registers, puts the result into RAX, and the guest goes on after OUT.
tinykvm_entry_syscall:
        cmpl    $SHIM_FUTEX, %eax
        je      .Lentry_futex
        cmpl    $SHIM_SCHED_YIELD, %eax
        je      .Lentry_yield
        out     %eax, $PORT_SYSCALL
        sysretq
// Calls that the shim can make: it is entered in user mode with the address to return to in RAX.
.Lentry_futex:
        movq    %rcx, %rax
        movabsq $SHIM + SHIM_USER_FUTEX, %rcx
        sysretq
.Lentry_yield:
        movq    %rcx, %rax
        movabsq $SHIM + SHIM_USER_YIELD, %rcx
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
        .globl  tinykvm_shim_leave_futex, tinykvm_shim_futex_word, tinykvm_shim_stub_syscall, tinykvm_shim_cpu_return
        .globl  tinykvm_shim_touch
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
        cmpl    $SHIM_FUTEX, %eax
        je      1f
        cmpl    $SHIM_SCHED_YIELD, %eax
        je      1f
.Lleave:
        movabsl %eax, DOORBELL + DOORBELL_SYSCALL
        ud2
// Calls that are made here leave now and then, so that the host leads them around SYSCALL (guest/call_stubs.hpp).
1:      cmpl    $0, tinykvm_shim_begin + SHIM_TO_HAND_OVER + HAND_OVER_LENT(%rip)
        je      .Lleave
        incl    tinykvm_shim_begin + SHIM_TO_HAND_OVER + HAND_OVER_TRAPS(%rip)
        testb   $31, tinykvm_shim_begin + SHIM_TO_HAND_OVER + HAND_OVER_TRAPS(%rip)
        je      .Lleave
// Where a system call begins that was led around SYSCALL.
tinykvm_shim_stub_syscall:
        cmpl    $SHIM_FUTEX, %eax
        je      .Lfutex
        cmpl    $SHIM_SCHED_YIELD, %eax
        je      .Lyield
        jmp     .Lleave

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

// The same for a function that a further CPU runs, which has no part in the mailbox.
        .balign 16
tinykvm_shim_cpu_return:
        movl    $HOST_CALL_RETURNED, %eax
        jmp     .Lring

// Touches pages, so that the first request of a fork finds them (guest/first_touch.hpp): those of the ranges from RDI
// to RSI in the mailbox, each of them two addresses. A store of what is there already changes nothing.
        .balign 16
tinykvm_shim_touch:
        cmpq    %rsi, %rdi
        jae     .Lleave_mailbox
        movq    (%rdi), %rax
        movq    8(%rdi), %rcx
        addq    $16, %rdi
1:      orb     $0, (%rax)
        addq    $4096, %rax
        cmpq    %rcx, %rax
        jb      1b
        jmp     tinykvm_shim_touch

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
        je      .Lleave_mailbox
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
.Lleave_mailbox:
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

// --- Threads that hand over to each other without leaving the guest. While the host has lent them (HAND_OVER_LENT), a
// futex call and sched_yield are made here when they need nothing but registers of lent threads; else the guest leaves
// with the call as it was. Only RAX, RCX and R11 change, as in any system call. The host never looks at the threads
// while RIP is in the shim, so nothing here is half done for it.

// Where real CPUs come from CPL0: the address to return to is in RAX.
        .org    tinykvm_shim_begin + SHIM_USER_FUTEX
        movq    %rax, %rcx
        movl    $SHIM_FUTEX, %eax
        jmp     .Lfutex
        .org    tinykvm_shim_begin + SHIM_USER_YIELD
        movq    %rax, %rcx
        movl    $SHIM_SCHED_YIELD, %eax
        jmp     .Lyield

        .macro  save_work_registers
        movq    %rcx, tinykvm_shim_begin + SHIM_TO_HAND_OVER + HAND_OVER_RETURN(%rip)
        movq    %rbx, tinykvm_shim_begin + SHIM_TO_HAND_OVER + HAND_OVER_RBX(%rip)
        leaq    tinykvm_shim_begin + SHIM_TO_HAND_OVER(%rip), %rbx
        movq    %rbp, HAND_OVER_RBP(%rbx)
        .endm
        .macro  restore_work_registers
        movq    HAND_OVER_RBP(%rbx), %rbp
        movq    HAND_OVER_RETURN(%rbx), %rcx
        movq    HAND_OVER_RBX(%rbx), %rbx
        .endm
// R11 becomes the offset of the next entry after it, in turn; jumps to `none` after the last. RCX counts down from
// HAND_OVER_END.
        .macro  next_entry none
        subl    $ENTRY_SIZE, %ecx
        js      \none
        addl    $ENTRY_SIZE, %r11d
        cmpl    HAND_OVER_END(%rbx), %r11d
        jb      9f
        xorl    %r11d, %r11d
9:
        .endm

.Lfutex:
        cmpl    $0, tinykvm_shim_begin + SHIM_TO_HAND_OVER + HAND_OVER_LENT(%rip)
        je      .Lleave_syscall
        testb   $3, %dil
        jne     .Lleave_syscall
        movabsq $USER_END - 1, %r11
        cmpq    %r11, %rdi
        ja      .Lleave_syscall
        movl    %esi, %r11d
        andl    $~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME), %r11d
        je      .Lwait
        cmpl    $FUTEX_WAIT_BITSET, %r11d
        je      .Lwait_bitset
        testl   $FUTEX_CLOCK_REALTIME, %esi
        jne     .Lleave_syscall
        cmpl    $FUTEX_WAKE, %r11d
        je      .Lwake
        cmpl    $FUTEX_WAKE_BITSET, %r11d
        jne     .Lleave_syscall
        testl   %r9d, %r9d
        je      .Lleave_syscall
        save_work_registers
        movl    %r9d, %ebp
        jmp     1f
.Lwake:
        save_work_registers
        movl    $-1, %ebp
1:      xorl    %eax, %eax              // how many have been woken
        movl    HAND_OVER_CURRENT(%rbx), %r11d
        movl    HAND_OVER_END(%rbx), %ecx
2:      next_entry .Lreturn
        testl   $ENTRY_WAITS, HAND_OVER_ENTRIES(%rbx, %r11)
        je      2b
        cmpq    %rdi, HAND_OVER_ENTRIES + ENTRY_ADDRESS(%rbx, %r11)
        jne     2b
        testl   %ebp, HAND_OVER_ENTRIES + ENTRY_BITS(%rbx, %r11)
        je      2b
        cmpl    $0, HAND_OVER_ARMED(%rbx)
        je      .Lleave_with_futex      // nothing would end this thread's time slice
        xorl    $ENTRY_WAITS | ENTRY_READY, HAND_OVER_ENTRIES(%rbx, %r11)
        incl    %eax
        cmpl    %edx, %eax
        jl      2b
.Lreturn:
        restore_work_registers
        jmp     *%rcx
// The flags are those that a system call may leave.
tinykvm_shim_leave_futex:
.Lleave_syscall:
        movl    $INITIAL_FLAGS, %r11d
        jmp     .Lleave
.Lleave_with_futex:
        movl    $SHIM_FUTEX, %eax
        restore_work_registers
        jmp     .Lleave_syscall

.Lwait_bitset:
        testl   %r9d, %r9d
        je      .Lleave_syscall
.Lwait:
        testq   %r10, %r10              // a wait that ends is the host's
        jne     .Lleave_syscall
tinykvm_shim_futex_word:
        cmpl    %edx, (%rdi)            // when this faults, the host lets the guest leave with the call
        jne     .Lagain
        save_work_registers
        movl    $-1, %ebp
        testb   $FUTEX_WAIT_BITSET, %sil
        cmovnel %r9d, %ebp
        movl    HAND_OVER_CURRENT(%rbx), %r11d
        movl    HAND_OVER_END(%rbx), %ecx
3:      next_entry .Lleave_with_futex
        testl   $ENTRY_READY, HAND_OVER_ENTRIES(%rbx, %r11)
        je      3b
        movl    HAND_OVER_CURRENT(%rbx), %ecx
        movl    $ENTRY_WAITS | ENTRY_SAVED, HAND_OVER_ENTRIES(%rbx, %rcx)
        movl    %ebp, HAND_OVER_ENTRIES + ENTRY_BITS(%rbx, %rcx)
        movq    %rdi, HAND_OVER_ENTRIES + ENTRY_ADDRESS(%rbx, %rcx)
        jmp     .Lhand_over
.Lagain:
        movq    $-EAGAIN, %rax
        jmp     *%rcx

.Lyield:
        cmpl    $0, tinykvm_shim_begin + SHIM_TO_HAND_OVER + HAND_OVER_LENT(%rip)
        je      .Lleave_syscall
        save_work_registers
        incl    HAND_OVER_YIELDS(%rbx)
        testb   $0xff, HAND_OVER_YIELDS(%rbx)  // the host looks now and then at what threads wait for
        je      .Lleave_with_yield
        movl    HAND_OVER_CURRENT(%rbx), %r11d
        movl    HAND_OVER_END(%rbx), %ecx
4:      next_entry .Lyield_to_none
        testl   $ENTRY_READY, HAND_OVER_ENTRIES(%rbx, %r11)
        je      4b
        movl    HAND_OVER_CURRENT(%rbx), %ecx
        movl    $ENTRY_READY | ENTRY_SAVED | ENTRY_YIELDED, HAND_OVER_ENTRIES(%rbx, %rcx)
        jmp     .Lhand_over
.Lyield_to_none:
        xorl    %eax, %eax
        cmpl    $0, HAND_OVER_OTHERS(%rbx)
        je      .Lreturn
.Lleave_with_yield:
        movl    $SHIM_SCHED_YIELD, %eax
        restore_work_registers
        jmp     .Lleave_syscall

// From the thread whose entry is at RCX to that whose entry is at R11. RBX, RBP and the address to return to have been
// saved. Both are in a call that returns 0.
        .macro  context_of offset
        imull   $CONTEXT_SIZE / ENTRY_SIZE, \offset, %ecx
        leaq    HAND_OVER_CONTEXTS(%rbx, %rcx), %rcx
        .endm
        .set    C, CONTEXT_REGISTERS
.Lhand_over:
        context_of %ecx
        movq    HAND_OVER_RBX(%rbx), %rax
        movq    %rax, C + 0(%rcx)
        movq    HAND_OVER_RBP(%rbx), %rax
        movq    %rax, C + 8(%rcx)
        movq    HAND_OVER_RETURN(%rbx), %rax
        movq    %rax, C + 16(%rcx)
        movq    %rsp, C + 24(%rcx)
        movq    %rdx, C + 32(%rcx)
        movq    %rsi, C + 40(%rcx)
        movq    %rdi, C + 48(%rcx)
        movq    %r8, C + 56(%rcx)
        movq    %r9, C + 64(%rcx)
        movq    %r10, C + 72(%rcx)
        movq    %r12, C + 80(%rcx)
        movq    %r13, C + 88(%rcx)
        movq    %r14, C + 96(%rcx)
        movq    %r15, C + 104(%rcx)
        rdfsbase %rax
        movq    %rax, C + 112(%rcx)
        rdgsbase %rax
        movq    %rax, C + 120(%rcx)
        movl    HAND_OVER_COMPONENTS(%rbx), %eax
        xorl    %edx, %edx
        xsave64 (%rcx)
        movl    %r11d, HAND_OVER_CURRENT(%rbx)
        movl    $0, HAND_OVER_ENTRIES(%rbx, %r11)
        context_of %r11d
        movl    HAND_OVER_COMPONENTS(%rbx), %eax
        xorl    %edx, %edx
        xrstor64 (%rcx)
        movq    C + 112(%rcx), %rax
        wrfsbase %rax
        movq    C + 120(%rcx), %rax
        wrgsbase %rax
        movq    C + 0(%rcx), %rbx
        movq    C + 8(%rcx), %rbp
        movq    C + 24(%rcx), %rsp
        movq    C + 32(%rcx), %rdx
        movq    C + 40(%rcx), %rsi
        movq    C + 48(%rcx), %rdi
        movq    C + 56(%rcx), %r8
        movq    C + 64(%rcx), %r9
        movq    C + 72(%rcx), %r10
        movq    C + 80(%rcx), %r12
        movq    C + 88(%rcx), %r13
        movq    C + 96(%rcx), %r14
        movq    C + 104(%rcx), %r15
        movq    C + 16(%rcx), %rcx
        xorl    %eax, %eax
        jmp     *%rcx
tinykvm_shim_end:

        .section .note.GNU-stack, "", @progbits
