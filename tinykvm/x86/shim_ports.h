/* How the shim tells the host what happened. Read by the assembler and by C++. */
#ifndef TINYKVM_X86_SHIM_PORTS_H
#define TINYKVM_X86_SHIM_PORTS_H

#define DOORBELL 0x7FFFFFF000 /* x86/layout.hpp */

/* Offsets of 4-byte stores in the doorbell page. */
#define DOORBELL_HOST_CALL 0
#define DOORBELL_SYSCALL 8
#define DOORBELL_LEAVE 16 /* no call came in time */

/* Where programs call the host (guest-api/kvm_api.h), from the beginning of the shim. */
#define SHIM_HOST_CALL 0x800

/* Where SYSCALL at CPL0 leads calls that the shim makes itself, from the beginning of the shim, and where that is. */
#define SHIM 0x7FFFE04000 /* x86/layout.hpp */
#define SHIM_USER_FUTEX 0xA00
#define SHIM_USER_YIELD 0xA20
#define INITIAL_FLAGS 0x202 /* x86/descriptor_tables.hpp */
#define USER_END 0x7FFFFFFFF000 /* x86/layout.hpp */

/* The number of the shim's own host call: the function that the host called has returned RDI and RSI. */
#define HOST_CALL_RETURNED 0xFFFFFFFF

/* The mailbox (x86/mailbox.hpp): its address, the offsets of its members, and its phases. */
#define MAILBOX 0x7FFFE0A000 /* x86/layout.hpp */
#define MAILBOX_PHASE 0
#define MAILBOX_LISTENING 4
#define MAILBOX_WAIT_UNTIL 8
#define MAILBOX_TARGET 16
#define MAILBOX_ARGUMENTS 24
#define MAILBOX_STACK 72
#define MAILBOX_RESULT 80
#define MAILBOX_LINK 88
#define MAILBOX_RUNNING 0 /* the program runs */
#define MAILBOX_WAITING 1 /* the shim waits for a call */
#define MAILBOX_CALL 2    /* host: run the function at TARGET */
#define MAILBOX_POSTED 3  /* guest: the host call TARGET */
#define MAILBOX_TAKEN 4   /* host: it is being handled */
#define MAILBOX_REPLY 5   /* host: RESULT is there */
#define MAILBOX_LEAVE 6   /* host: leave the guest; from a host call with that call */
#define MAILBOX_ASLEEP 7  /* guest: the time to wait is over, leaving */

/* The threads that the shim may hand over to (x86/hand_over.hpp): where they are, seen from the shim, the offsets of
   what is before them, of an entry of each, and of their contexts, and what the state of an entry says. */
#define SHIM_TO_HAND_OVER 0xC000 /* x86/layout.hpp */
#define HAND_OVER_LENT 0
#define HAND_OVER_ARMED 4
#define HAND_OVER_OTHERS 8
#define HAND_OVER_CURRENT 12
#define HAND_OVER_END 16
#define HAND_OVER_COMPONENTS 20
#define HAND_OVER_YIELDS 24
#define HAND_OVER_TRAPS 28
#define HAND_OVER_RBX 32
#define HAND_OVER_RBP 40
#define HAND_OVER_RETURN 48
#define HAND_OVER_ENTRIES 256
#define ENTRY_SIZE 16
#define ENTRY_BITS 4
#define ENTRY_ADDRESS 8
#define ENTRY_WAITS 1 /* for a word of a futex */
#define ENTRY_READY 2
#define ENTRY_SAVED 4 /* by the shim: its context is more recent than what the host has */
#define ENTRY_YIELDED 8
#define HAND_OVER_CONTEXTS 4096
#define CONTEXT_SIZE 3072
#define CONTEXT_REGISTERS 2816 /* after the vector registers */

/* System calls that the shim makes itself. */
#define SHIM_FUTEX 202
#define SHIM_SCHED_YIELD 24

/* From the shim to the snapshot's vector registers (x86/layout.hpp). */
#define SHIM_TO_VECTORS 0x7000

/* Ports of OUT at CPL0. */
#define PORT_SYSCALL 0x10
#define PORT_EXCEPTION 0x80

#endif
